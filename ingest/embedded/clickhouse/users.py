"""Users from a TOML file: name, scrypt hash of the password, readonly as ClickHouse's setting of that name.

[users.reader]
password = "scrypt:<salt>:<hash>"   # printed by `python -m ingest.embedded.clickhouse.users`; "" means no password
readonly = 1                        # 0 all, 1 only reading, 2 reading and changing settings
"""

import getpass
import hashlib
import hmac
import os
import tomllib
from pathlib import Path

import msgspec

from ingest.embedded.clickhouse.errors import ClickHouseError
from ingest.errors import SettingsError

_FIRST = """# Who may use this engine; read at its start. Hash a password: python -m ingest.embedded.clickhouse.users
[users.default]
password = ""
readonly = 0

[users.reader]
password = ""
readonly = 1
"""


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One user."""

    password: str = ""
    readonly: int = 0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    users: dict[str, User]


class Users:
    """Everybody in the file. Passwords that were right are remembered by a keyed digest: scrypt takes 30 ms."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users
        self._key = os.urandom(32)
        self._right: dict[str, bytes] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._users)

    @property
    def without_password(self) -> list[str]:
        return sorted(name for name, user in self._users.items() if not user.password)

    def admit(self, name: str, password: str) -> User:
        """The user; raises ClickHouseError 516, the same for a wrong name and a wrong password."""
        user = self._users.get(name)
        if user is not None and self._is_right(name, user, password):
            return user
        message = f"{name}: Authentication failed: password is incorrect, or there is no user with such name"
        raise ClickHouseError(516, "AUTHENTICATION_FAILED", message)

    def _is_right(self, name: str, user: User, password: str) -> bool:
        if not user.password:
            return not password
        digest = hashlib.blake2b(password.encode(), key=self._key).digest()
        if hmac.compare_digest(self._right.get(name, b""), digest):
            return True
        salt = bytes.fromhex(user.password.split(":")[1])
        if not hmac.compare_digest(hash_password(password, salt), user.password):
            return False
        self._right[name] = digest
        return True


def hash_password(password: str, salt: bytes | None = None) -> str:
    """`scrypt:<salt>:<hash>`, both in hex."""
    salt = os.urandom(16) if salt is None else salt
    return f"scrypt:{salt.hex()}:{hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1).hex()}"


def load_users(file: Path) -> Users:
    """The users of the file, which is made when it is not there. SettingsError says what is wrong with it."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(_FIRST)
    try:
        users = msgspec.convert(tomllib.loads(file.read_text()), _File).users
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise SettingsError(f"the users file {file} cannot be read: {error}") from error
    for name, user in users.items():
        if user.readonly not in (0, 1, 2):
            raise SettingsError(f"user {name!r} in {file}: expected readonly 0, 1 or 2, got {user.readonly}")
        if user.password and not _is_hash(user.password):
            raise SettingsError(
                f"user {name!r} in {file}: expected a password as python -m ingest.embedded.clickhouse.users prints it"
            )
    return Users(users)


def _is_hash(text: str) -> bool:
    parts = text.split(":")
    try:
        return len(parts) == 3 and parts[0] == "scrypt" and len(bytes.fromhex(parts[1])) >= 8 and bool(parts[2])
    except ValueError:
        return False


if __name__ == "__main__":
    print(hash_password(getpass.getpass("password: ")))
