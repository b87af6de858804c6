"""Bearer tokens: a JWT, checked with the keys of a JWKS, whose tenant claim names the workspace.

In: the token's text. Out: a Credential, or a Refusal (401: not good; 403: good, but names no workspace; 503: the JWKS
cannot be read). Only asymmetric algorithms that fit the key's type are taken; `exp` must be there. A JWKS is read in a
thread, kept, and read again when a token names an unknown key, but not more often than every ten seconds.
"""

import asyncio
import hashlib
import json
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import jwt
import structlog

from ingest.api.credential import WORKSPACE, Credential
from ingest.api.keyring import StoredTokenKey
from ingest.api.own_tokens import ENVIRONMENTS_CLAIM, ISSUER, WORKSPACE_CLAIM, public_key
from ingest.api.refusal import Refusal, overloaded
from ingest.errors import MeterhouseError

log = structlog.get_logger()

ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""By the type of the key. No HMAC: a published key must never be taken for a shared secret."""
_LEEWAY_S: Final = 30
_REREAD_EVERY_S: Final = 10.0
_KEEP_S: Final = 600.0
_FETCH_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20
_LONGEST_TOKEN: Final = 16_384
_MOST_KNOWN: Final = 4_096


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say."""

    issuer: str | None
    audience: str | None
    tenant_claim: str


OWN_RULES: Final = TokenRules(ISSUER, None, WORKSPACE_CLAIM)


class Tokens:
    """Checks tokens; those found good are remembered until they end (at most four thousand, for a minute)."""

    def __init__(self, source: str, rules: TokenRules, own: StoredTokenKey | None = None) -> None:
        """`source`: a file or an https:// URL, '' for none; `own`: what `meterhouse keys token` signs with. Raises
        MeterhouseError for a file that is no JWKS."""
        self._source = source
        self._rules = rules
        self._own = None if own is None else public_key(own)
        self._is_url = urlsplit(source).scheme in ("http", "https")
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = float("-inf")
        self._is_away = False
        self._reading = asyncio.Lock()
        self._known: OrderedDict[bytes, tuple[Credential, float]] = OrderedDict()
        if self._is_url and urlsplit(source).scheme == "http" and urlsplit(source).hostname not in _LOOPBACK:
            raise MeterhouseError(f"METERHOUSE_API_JWKS is {source}: keys come by https:// only, except from loopback.")
        if source and not self._is_url:
            self._keys = _parse(_read_file(source), source)

    @property
    def are_set_up(self) -> bool:
        """Whether any token could be good."""
        return bool(self._source) or self._own is not None

    def use_own(self, own: StoredTokenKey | None) -> None:
        """The key of our own tokens as it is now; those of another key end at once."""
        self._own = None if own is None else public_key(own)
        self._known.clear()

    async def check(self, token: str) -> Credential:
        """The token's credential."""
        if len(token) > _LONGEST_TOKEN:
            raise _not_good("it is too long")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        now = time.time()
        if known is not None and now < known[1]:
            return known[0]
        key_id = _key_id(token)
        if self._own is not None and key_id == self._own.key_id:
            credential, ends_at = _verify(token, self._own, OWN_RULES)
        else:
            credential, ends_at = _verify(token, await self._key_for(key_id), self._rules)
        self._known[digest] = (credential, min(ends_at, now + 60.0))
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return credential

    async def _key_for(self, key_id: object) -> jwt.PyJWK:
        if not self._source:
            raise _not_good("its key is none of this server's")
        age = time.monotonic() - self._read_at
        found = self._find(key_id)
        if (found is None and age > _REREAD_EVERY_S) or age > _KEEP_S:
            await self._reread()
            found = self._find(key_id)
        if found is None and self._is_away:
            # Nobody can say that the token is bad: its sender is to come again, not to give up.
            raise overloaded("jwks_away", "The keys for bearer tokens cannot be read now.", 5.0)
        if found is None:
            raise _not_good("its key is not in the JWKS")
        return found

    def _find(self, key_id: object) -> jwt.PyJWK | None:
        if isinstance(key_id, str):
            return self._keys.get(key_id)
        return next(iter(self._keys.values())) if len(self._keys) == 1 and key_id is None else None

    async def _reread(self) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at <= _REREAD_EVERY_S:
                return
            self._read_at = time.monotonic()
            try:
                read = _fetch if self._is_url else _read_file
                self._keys = _parse(await asyncio.to_thread(read, self._source), self._source)
                self._known.clear()  # a key that was withdrawn takes its tokens along
                self._is_away = False
            except (MeterhouseError, OSError, ValueError, HTTPException) as error:
                self._is_away = True
                log.warning("front_door_jwks_not_read", reason=type(error).__name__, kept=len(self._keys))


_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_WHY: Final = {
    "ExpiredSignatureError": "it has expired",
    "ImmatureSignatureError": "it is not valid yet",
    "InvalidIssuerError": "its issuer is another",
    "InvalidAudienceError": "its audience is another",
    "MissingRequiredClaimError": "a claim is missing: exp, and aud or iss where they are asked for",
}


def _verify(token: str, key: jwt.PyJWK, rules: TokenRules) -> tuple[Credential, float]:
    try:
        claims: dict[str, object] = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS.get(key.key_type or "", ()),
            issuer=rules.issuer,
            audience=rules.audience,
            leeway=_LEEWAY_S,
            options={"require": ["exp"], "verify_aud": rules.audience is not None},
        )
    except (jwt.InvalidTokenError, jwt.PyJWTError, ValueError, TypeError) as error:
        raise _not_good(_WHY.get(type(error).__name__, "its signature or claims do not hold")) from None
    workspace = claims.get(rules.tenant_claim)
    if not isinstance(workspace, str) or WORKSPACE.fullmatch(workspace) is None:
        raise Refusal(403, "no_workspace", f"The token's claim {rules.tenant_claim} names no workspace.")
    given = claims.get(ENVIRONMENTS_CLAIM, [])
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Refusal(403, "no_environments", f"The token's claim {ENVIRONMENTS_CLAIM} is no list of names.")
    ends_at = claims["exp"]
    seconds = float(ends_at) if isinstance(ends_at, int | float) else 0.0
    return Credential(f"jwt:{workspace}", workspace, tuple(given)), seconds + _LEEWAY_S


def _key_id(token: str) -> object:
    try:
        return jwt.get_unverified_header(token).get("kid")
    except (jwt.InvalidTokenError, ValueError):
        raise _not_good("it is no JWT") from None


def _not_good(why: str) -> Refusal:
    return Refusal(401, "bad_token", f"The bearer token is not good: {why}.")


def _read_file(source: str) -> bytes:
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise MeterhouseError(f"METERHOUSE_API_JWKS is {source}, which cannot be read ({error.strerror}).") from error


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_FETCH_TIMEOUT_S) as answer:  # noqa: S310  # the scheme is checked above
        content: bytes = answer.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("a JWKS of more than a mebibyte")
    return content


def _parse(content: bytes, source: str) -> dict[str, jwt.PyJWK]:
    try:
        found = json.loads(content)
        if not isinstance(found, dict):
            raise TypeError("no object")
        keys = jwt.PyJWKSet.from_dict(found).keys
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise MeterhouseError(f"METERHOUSE_API_JWKS is {source}, which is no JWKS ({type(error).__name__}).") from None
    return {key.key_id or str(number): key for number, key in enumerate(keys) if key.key_type in ALGORITHMS}
