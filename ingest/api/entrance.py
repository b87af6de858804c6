"""Who may pass: the checks that every way in has in common, in one order.

In: headers (lower-case names), the client's address, the body as it was sent. Out: a Credential, or a Refusal. First
the address's rate and a look at the headers (`knock`), before the body is read; then the signature over the body
(`admit`). A signature whose request was not acknowledged is given back, so that the very same may be sent again.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingest.api.credential import Credential
from ingest.api.keyring import Keyring, SigningKey
from ingest.api.limiting import Rates
from ingest.api.refusal import Refusal
from ingest.api.signatures import SeenSignatures, is_signed, read_signature, read_timestamp
from ingest.api.tokens import Tokens

KEY_HEADER = "x-meterhouse-key"
TIMESTAMP_HEADER = "x-meterhouse-timestamp"
SIGNATURE_HEADER = "x-meterhouse-signature"
_NOT_SIGNED = "The key is unknown, or the signature is not of this time and body."


@dataclass(slots=True)
class Knock:
    """A request whose headers are in order. Either the token is checked already, or the body's signature is to be."""

    credential: Credential | None = None
    key: SigningKey | None = None
    timestamp: str = ""
    signed_at_s: float = 0.0
    digest: bytes = b""
    is_used: bool = False


class Entrance:
    """Shared by all ways in."""

    def __init__(
        self,
        keyring: Keyring,
        tokens: Tokens,
        seen: SeenSignatures,
        rates: Rates,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keyring = keyring
        self.tokens = tokens
        self.seen = seen
        self.rates = rates
        self._clock = clock

    async def knock(self, headers: Mapping[str, str], address: str | None) -> Knock:
        """Before the body is read. Raises Refusal 401 or 429."""
        self.rates.admit_address(address)
        authorization = headers.get("authorization", "")
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not self.tokens.are_set_up:
                raise _unauthorized("no_credentials", "Bearer tokens are not set up here, and other schemes not known.")
            return Knock(credential=await self.tokens.check(token.strip()))
        key_id, timestamp = headers.get(KEY_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
        signature = headers.get(SIGNATURE_HEADER, "")
        if not (key_id and timestamp and signature):
            raise _unauthorized(
                "no_credentials",
                "Send X-Meterhouse-Key, X-Meterhouse-Timestamp and X-Meterhouse-Signature, or a bearer token.",
            )
        signed_at_s, digest = read_timestamp(timestamp), read_signature(signature)
        if signed_at_s is None:
            raise _unauthorized("bad_timestamp", "X-Meterhouse-Timestamp: expected epoch seconds, such as 1795426200.")
        if digest is None:
            raise _unauthorized("bad_signature", "X-Meterhouse-Signature: expected 64 hexadecimal digits.")
        self.seen.check_window(signed_at_s, self._clock())
        key = self.keyring.find(key_id)
        if key is None:  # before the body: what nobody can have signed is not worth receiving
            raise _unauthorized("bad_signature", _NOT_SIGNED)
        return Knock(key=key, timestamp=timestamp, signed_at_s=signed_at_s, digest=digest)

    def admit(self, knock: Knock, body: bytes) -> Credential:
        """With the body as it was sent. Raises Refusal 401, 409 or 503."""
        if knock.credential is not None:
            return knock.credential
        if knock.key is None or not is_signed(knock.key.secrets, knock.timestamp, body, knock.digest):
            raise _unauthorized("bad_signature", _NOT_SIGNED)
        self.seen.use(knock.digest, knock.signed_at_s, self._clock())
        knock.is_used = True
        return knock.key.credential

    def give_back(self, knock: Knock) -> None:
        """The request was not acknowledged."""
        if knock.is_used:
            self.seen.take_back(knock.digest, knock.signed_at_s)


def _unauthorized(code: str, sentence: str) -> Refusal:
    return Refusal(401, code, sentence)
