"""The keys of the front door: who may sign, for which workspace, and what identifiers are hashed with. One JSON file.

In: a path. Out: Keyring, read at the start and again whenever the file changed, so that a rotation needs no restart. A
key has at most two secrets, so that clients move over while both are valid. The file is written whole, for its owner
only; a missing one is made, a broken one is a MeterhouseError (at the start) or leaves the last good keys in force.
"""

import contextlib
import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from ingest.api.credential import Credential
from ingest.contracts.fields import WORKSPACE_PATTERN
from ingest.contracts.pseudonyms import IdentityKey
from ingest.errors import MeterhouseError
from ingest.settings import Settings

log = structlog.get_logger()
MOST_SECRETS: Final = 2

KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
SecretText = Annotated[str, Meta(min_length=16, max_length=512)]


class SigningKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who signs with it, and with which secrets, the newest first."""

    key_id: KeyId
    workspace_id: Annotated[str, Meta(pattern=WORKSPACE_PATTERN)]
    secrets: Annotated[tuple[SecretText, ...], Meta(min_length=1, max_length=MOST_SECRETS)]
    environments: tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...] = ()
    events_per_s: Annotated[float, Meta(ge=0)] = 0.0
    made_at: str = ""

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id}, {self.workspace_id})"

    @property
    def credential(self) -> Credential:
        return Credential(self.key_id, self.workspace_id, self.environments, self.events_per_s)


class StoredIdentityKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """See pseudonyms.IdentityKey."""

    key_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,16}$")]
    secret: SecretText
    made_at: str = ""


class StoredTokenKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What our own bearer tokens are signed with: the 32 bytes of an Ed25519 key, hexadecimal."""

    key_id: KeyId
    private: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    made_at: str = ""

    def __repr__(self) -> str:
        return f"StoredTokenKey({self.key_id})"


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. `identity`: the newest first; the others only tell which names are whose."""

    identity: Annotated[tuple[StoredIdentityKey, ...], Meta(min_length=1)]
    keys: tuple[SigningKey, ...] = ()
    token_key: StoredTokenKey | None = None

    @property
    def identity_keys(self) -> list[IdentityKey]:
        return [IdentityKey(one.key_id, one.secret.encode()) for one in self.identity]

    def find(self, key_id: str) -> SigningKey | None:
        return next((key for key in self.keys if key.key_id == key_id), None)


def keys_path(settings: Settings) -> Path:
    """Where the keys are."""
    return settings.api_keys_file or settings.home / "door" / "keys.json"


def now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def new_identity_key(number: int) -> StoredIdentityKey:
    return StoredIdentityKey(key_id=f"k{number}", secret=secrets.token_hex(32), made_at=now_text())


def read_keys(path: Path) -> KeyFile:
    """The file's keys; made with a fresh identity key where there is none. Raises MeterhouseError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        with editing(path) as keys:
            return keys
    except OSError as error:
        raise MeterhouseError(f"Cannot read the keys of the front door in {path} ({error.strerror}).") from error
    return _parse(content, path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def editing(path: Path) -> Iterator[KeyFile]:
    """The file's keys under its lock, the file made where there is none."""
    with _locked(path):
        try:
            keys = _parse(path.read_bytes(), path)
        except FileNotFoundError:
            keys = KeyFile(identity=(new_identity_key(1),))
            write_keys(path, keys)
        yield keys


def write_keys(path: Path, keys: KeyFile) -> None:
    """Puts the file in place whole; call it under `editing`."""
    write_private(path, msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Puts a file in place whole, for its owner only."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _parse(content: bytes, path: Path) -> KeyFile:
    try:
        keys = msgspec.json.decode(content, type=KeyFile)
    except msgspec.MsgspecError as error:
        # msgspec names the place ($.keys[0].secrets), never the value.
        raise MeterhouseError(f"The front door's keys in {path} cannot be used: {error}.") from None
    twice = {key.key_id for key in keys.keys if sum(one.key_id == key.key_id for one in keys.keys) > 1}
    if twice:
        raise MeterhouseError(f"The front door's keys in {path} have {', '.join(sorted(twice))} twice.")
    return keys


class Keyring:
    """The keys in force. `refresh` looks whether the file changed: one stat, cheap enough for every second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.file = read_keys(path)
        self._stamp = self._stat()
        self._by_id = {key.key_id: key for key in self.file.keys}

    def find(self, key_id: str) -> SigningKey | None:
        return self._by_id.get(key_id)

    def refresh(self) -> bool:
        """True where the keys are new."""
        stamp = self._stat()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.file = _parse(self._path.read_bytes(), self._path)
        except (MeterhouseError, OSError) as error:
            log.error("front_door_keys_not_reread", reason=str(error), kept=len(self._by_id))
            return False
        self._by_id = {key.key_id: key for key in self.file.keys}
        log.info("front_door_keys_reread", keys=len(self._by_id))
        return True

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_ino, found.st_size)
