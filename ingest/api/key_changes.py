"""Changes to the file of keys, each under its lock: make, rotate, retire, remove.

In: the file's path and a key's id. Out: the key as it is now. Raises MeterhouseError for an unknown or a taken id.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from ingest.api.keyring import (
    MOST_SECRETS,
    KeyFile,
    SigningKey,
    StoredIdentityKey,
    editing,
    new_identity_key,
    now_text,
    write_keys,
)
from ingest.errors import MeterhouseError


def add_key(
    path: Path, key_id: str, workspace_id: str, environments: tuple[str, ...], events_per_s: float
) -> SigningKey:
    """A new key with a fresh secret."""
    made = SigningKey(
        key_id=key_id,
        workspace_id=workspace_id,
        secrets=(_secret(),),
        environments=environments,
        events_per_s=events_per_s,
        made_at=now_text(),
    )
    try:
        made = msgspec.convert(msgspec.to_builtins(made), SigningKey)
    except msgspec.ValidationError as error:
        raise MeterhouseError(f"Such a key cannot be: {error}.") from None
    with editing(path) as file:
        if file.find(key_id) is not None:
            raise MeterhouseError(f"There is a key {key_id} already; `meterhouse keys rotate {key_id}` renews it.")
        write_keys(path, msgspec.structs.replace(file, keys=(*file.keys, made)))
    return made


def first_key(path: Path, workspace_id: str) -> SigningKey | None:
    """The key named as its workspace; made where there is no key at all, None where there are only others."""
    with editing(path) as file:
        found = file.find(workspace_id)
        if found is not None or file.keys:
            return found
        made = SigningKey(key_id=workspace_id, workspace_id=workspace_id, secrets=(_secret(),), made_at=now_text())
        write_keys(path, msgspec.structs.replace(file, keys=(made,)))
    return made


def rotate_key(path: Path, key_id: str) -> SigningKey:
    """A new secret in front; the one before stays valid, an older one does not."""
    return _change(
        path, key_id, lambda key: msgspec.structs.replace(key, secrets=(_secret(), *key.secrets)[:MOST_SECRETS])
    )


def retire_secret(path: Path, key_id: str) -> SigningKey:
    """Only the newest secret stays."""
    return _change(path, key_id, lambda key: msgspec.structs.replace(key, secrets=key.secrets[:1]))


def remove_key(path: Path, key_id: str) -> None:
    """The key is no more."""
    with editing(path) as file:
        _find(file, key_id)
        write_keys(path, msgspec.structs.replace(file, keys=tuple(key for key in file.keys if key.key_id != key_id)))


def add_identity_key(path: Path) -> StoredIdentityKey:
    """A new key for names of people, in front of those before."""
    with editing(path) as file:
        made = new_identity_key(max(int(one.key_id[1:]) for one in file.identity if one.key_id[1:].isdigit()) + 1)
        write_keys(path, msgspec.structs.replace(file, identity=(made, *file.identity)))
    return made


def _change(path: Path, key_id: str, change: Callable[[SigningKey], SigningKey]) -> SigningKey:
    with editing(path) as file:
        changed = change(_find(file, key_id))
        keys = tuple(changed if key.key_id == key_id else key for key in file.keys)
        write_keys(path, msgspec.structs.replace(file, keys=keys))
    return changed


def _find(file: KeyFile, key_id: str) -> SigningKey:
    found = file.find(key_id)
    if found is None:
        known = ", ".join(key.key_id for key in file.keys) or "none"
        raise MeterhouseError(f"There is no key {key_id}; there is: {known}.")
    return found


def _secret() -> str:
    return secrets.token_urlsafe(32)
