"""Bearer tokens of our own, for OTLP exporters and Collectors, whose headers are fixed.

In: a workspace, days, environments. Out: a JWT signed with an Ed25519 key that lives in the file of keys, made at first
use. A token cannot be taken back alone: `revoke_tokens` makes a new key, and all tokens of the one before end.
"""

import secrets
import time
from pathlib import Path
from typing import Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.api.credential import WORKSPACE
from ingest.api.keyring import StoredTokenKey, editing, now_text, write_keys
from ingest.errors import MeterhouseError

ISSUER: Final = "meterhouse"
WORKSPACE_CLAIM: Final = "workspace_id"
ENVIRONMENTS_CLAIM: Final = "environments"
ALGORITHM: Final = "EdDSA"
_LONGEST_DAYS: Final = 3_650


def mint_token(path: Path, workspace_id: str, days: float, environments: tuple[str, ...] = ()) -> str:
    """The token. Raises MeterhouseError for what is no workspace, or no number of days."""
    if WORKSPACE.fullmatch(workspace_id) is None:
        raise MeterhouseError(f"{workspace_id!r} is no workspace: letters, digits and . _ : - are, at most 128.")
    if not 0 < days <= _LONGEST_DAYS:
        raise MeterhouseError(f"Expected more than 0 and at most {_LONGEST_DAYS} days, came {days:g}.")
    with editing(path) as file:
        key = file.token_key
        if key is None:
            key = _new_key()
            write_keys(path, msgspec.structs.replace(file, token_key=key))
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": ISSUER,
        "iat": now,
        "exp": now + round(days * 86_400),
        WORKSPACE_CLAIM: workspace_id,
    }
    if environments:
        claims[ENVIRONMENTS_CLAIM] = list(environments)
    return jwt.encode(claims, _private(key), ALGORITHM, {"kid": key.key_id})


def revoke_tokens(path: Path) -> None:
    """A new key; no token minted before is good any more."""
    with editing(path) as file:
        write_keys(path, msgspec.structs.replace(file, token_key=_new_key()))


def public_key(key: StoredTokenKey) -> jwt.PyJWK:
    """What tokens are checked with."""
    raw = _private(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    text = jwt.utils.base64url_encode(raw).decode()
    return jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": text, "kid": key.key_id})


def _new_key() -> StoredTokenKey:
    return StoredTokenKey(key_id=f"own-{secrets.token_hex(6)}", private=secrets.token_hex(32), made_at=now_text())


def _private(key: StoredTokenKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key.private))
