"""Who may pass: signatures, their window, replay, keys that change, tokens."""

import asyncio
import json
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from ingest.api.entrance import Entrance
from ingest.api.key_changes import add_identity_key, add_key, remove_key, retire_secret, rotate_key
from ingest.api.keyring import Keyring, read_keys
from ingest.api.limiting import Rates
from ingest.api.own_tokens import mint_token, revoke_tokens
from ingest.api.refusal import Refusal
from ingest.api.signatures import SeenSignatures, is_signed, read_signature, sign
from ingest.api.tokens import TokenRules, Tokens
from ingest.errors import MeterhouseError

NOW_S = 1_795_426_200.0
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(texts, texts, st.integers(0, 10**10).map(str), st.binary(max_size=60), st.binary(min_size=1, max_size=60))
def test_a_signature_is_good_for_its_secret_time_and_body_only(
    secret: str, other: str, timestamp: str, body: bytes, more: bytes
) -> None:
    digest = read_signature(sign(secret, timestamp, body))
    assert digest is not None
    assert is_signed([other, secret], timestamp, body, digest)
    assert is_signed([other], timestamp, body, digest) == (other == secret)
    assert not is_signed([secret], timestamp, body + more, digest)
    assert not is_signed([secret], timestamp + "0", body, digest)


@given(st.text(max_size=80))
def test_whatever_is_sent_as_a_signature_is_read_or_refused(text: str) -> None:
    digest = read_signature(text)
    assert digest is None or len(digest) == 32


def make_entrance(tmp_path: Path, now_s: float = NOW_S) -> tuple[Entrance, str]:
    path = tmp_path / "keys.json"
    secret = add_key(path, "k1", "acme", ("production",), 0.0).secrets[0]
    rates = Rates(key_events_per_s=1000, address_requests_per_s=1000)
    tokens = Tokens("", TokenRules(None, None, "workspace_id"))
    return Entrance(Keyring(path), tokens, SeenSignatures(300.0, 1000), rates, clock=lambda: now_s), secret


def headers(secret: str, body: bytes, at_s: float = NOW_S, key: str = "k1") -> dict[str, str]:
    timestamp = f"{at_s:.3f}"
    return {
        "x-meterhouse-key": key,
        "x-meterhouse-timestamp": timestamp,
        "x-meterhouse-signature": sign(secret, timestamp, body),
    }


async def refused(entrance: Entrance, given_headers: dict[str, str], body: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        entrance.admit(await entrance.knock(given_headers, "192.0.2.1"), body)
    return f"{caught.value.status} {caught.value.code}"


def test_the_key_decides_the_workspace_and_a_signature_passes_once(tmp_path: Path) -> None:
    async def story() -> None:
        entrance, secret = make_entrance(tmp_path)
        knock = await entrance.knock(headers(secret, b"body"), "192.0.2.1")
        credential = entrance.admit(knock, b"body")
        assert (credential.workspace_id, credential.only_environment) == ("acme", "production")
        assert await refused(entrance, headers(secret, b"body"), b"body") == "409 replayed"
        entrance.give_back(knock)  # Kafka did not acknowledge: the same request may come again
        assert entrance.admit(await entrance.knock(headers(secret, b"body"), None), b"body") == credential
        assert await refused(entrance, headers(secret, b"body", NOW_S - 1), b"other") == "401 bad_signature"
        assert await refused(entrance, headers(secret, b"body", key="k2"), b"body") == "401 bad_signature"
        for wrong in (NOW_S - 301, NOW_S + 301):
            assert await refused(entrance, headers(secret, b"", wrong), b"") == "401 timestamp_outside_window"
        assert await refused(entrance, {}, b"") == "401 no_credentials"
        assert await refused(entrance, {"authorization": "Bearer x"}, b"") == "401 no_credentials"

    asyncio.run(story())


@given(st.lists(st.tuples(st.floats(-900, 900), st.integers(0, 5)), max_size=60))
def test_replays_are_known_as_long_as_the_window_lets_them_in_and_no_longer_kept(
    uses: list[tuple[float, int]],
) -> None:
    seen = SeenSignatures(300.0, most=1000)
    clock = NOW_S
    accepted: set[tuple[bytes, int]] = set()
    for offset_s, number in uses:
        clock += 45
        signed_at_s, digest = round(clock + offset_s), number.to_bytes(32, "little")
        try:
            seen.use(digest, signed_at_s, clock)
        except Refusal as refusal:
            if refusal.code == "replayed":
                assert (digest, signed_at_s // 30) in {(one, at // 30) for one, at in accepted}
            else:
                assert abs(clock - signed_at_s) > 300
        else:
            assert (digest, signed_at_s) not in accepted
            accepted.add((digest, signed_at_s))
    seen.forget(clock + 10_000)
    assert seen.count == 0


def test_too_many_signatures_are_refused_rather_than_forgotten() -> None:
    seen = SeenSignatures(300.0, most=3)
    for number in range(3):
        seen.use(number.to_bytes(32, "little"), NOW_S, NOW_S)
    with pytest.raises(Refusal, match="Too many") as caught:
        seen.use(b"x" * 32, NOW_S, NOW_S)
    assert (caught.value.status, caught.value.retry_after) == (503, "30")


def test_a_rotated_key_has_two_secrets_until_it_is_retired(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = add_key(path, "k1", "acme", (), 0.0).secrets[0]
    ring = Keyring(path)
    second = rotate_key(path, "k1").secrets[0]
    assert ring.refresh()
    key = ring.find("k1")
    assert key is not None
    assert key.secrets == (second, first)
    third = rotate_key(path, "k1").secrets[0]
    assert read_keys(path).keys[0].secrets == (third, second)
    assert retire_secret(path, "k1").secrets == (third,)
    remove_key(path, "k1")
    assert ring.refresh()
    assert ring.find("k1") is None
    assert path.stat().st_mode & 0o077 == 0


def test_the_identity_key_that_names_are_made_with_is_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert read_keys(path).identity_keys[0].key_id == "k1"
    assert add_identity_key(path).key_id == "k2"
    assert [one.key_id for one in read_keys(path).identity_keys] == ["k2", "k1"]


def test_a_broken_file_of_keys_stops_the_start_and_leaves_running_keys_in_force(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secret = add_key(path, "k1", "acme", (), 0.0).secrets[0]
    ring = Keyring(path)
    path.write_text(json.dumps({"identity": [], "keys": [{"secret": secret}]}))
    with pytest.raises(MeterhouseError) as caught:
        read_keys(path)
    assert secret not in str(caught.value)
    assert not ring.refresh()
    assert ring.find("k1") is not None


def jwks(*keys: tuple[str, rsa.RSAPrivateKey]) -> str:
    algorithm = jwt.algorithms.RSAAlgorithm
    return json.dumps(
        {"keys": [{**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name} for name, key in keys]}
    )


def test_tokens_pass_with_a_key_of_the_jwks_a_workspace_and_an_end(tmp_path: Path) -> None:
    good, stranger = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    source = tmp_path / "jwks.json"
    source.write_text(jwks(("a", good)))
    now = time.time()

    def token(key: object = good, algorithm: str = "RS256", kid: str = "a", **claims: object) -> str:
        full = {"tenant": "acme", "exp": now + 60, "aud": "meterhouse", "iss": "us", **claims}
        return jwt.encode({k: v for k, v in full.items() if v is not None}, key, algorithm, {"kid": kid})  # type: ignore[arg-type]

    async def story() -> None:
        tokens = Tokens(str(source), TokenRules("us", "meterhouse", "tenant"))
        assert (await tokens.check(token(environments=["prod"]))).only_environment == "prod"
        public = good.public_key()
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        import base64
        import hashlib
        import hmac

        parts = [{"alg": "HS256", "kid": "a"}, {"tenant": "acme", "exp": now + 60, "aud": "meterhouse", "iss": "us"}]
        head = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)
        mac = hmac.digest(pem, head.encode(), hashlib.sha256)
        confused = f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        unsigned = jwt.encode({"tenant": "acme", "exp": now + 60}, None, "none", {"kid": "a"})  # type: ignore[arg-type]
        for wrong in (
            token(stranger), token(kid="b"), token(exp=now - 120), token(exp=None), token(aud="x"), token(iss="x"),
            token(nbf=now + 500), confused, unsigned, "x", "a.b.c", "",
        ):  # fmt: skip
            with pytest.raises(Refusal) as caught:
                await tokens.check(wrong)
            assert (caught.value.status, caught.value.code) == (401, "bad_token")
        for workspace in (None, "", "a b", 5, ["acme"]):
            with pytest.raises(Refusal) as caught:
                await tokens.check(token(tenant=workspace))
            assert caught.value.status == 403

    asyncio.run(story())
    source.write_text("[]")
    with pytest.raises(MeterhouseError, match="no JWKS"):
        Tokens(str(source), TokenRules(None, None, "tenant"))


def test_tokens_of_our_own_pass_beside_those_of_a_jwks_until_they_are_revoked(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    minted = mint_token(path, "acme", 1, ("prod",))
    tokens = Tokens("", TokenRules("another", "audience", "tenant"), read_keys(path).token_key)

    async def check(token: str) -> str:
        try:
            return (await tokens.check(token)).workspace_id
        except Refusal as refusal:
            return refusal.code

    assert asyncio.run(check(minted)) == "acme"
    assert asyncio.run(check(minted[:-4] + "AAAA")) == "bad_token"
    assert asyncio.run(check(mint_token(path, "acme", 1e-9))) == "acme"  # within the leeway of half a minute
    claims = {"iss": "meterhouse", "exp": time.time() + 60, "workspace_id": "acme"}
    stranger = jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA", jwt.get_unverified_header(minted))
    assert asyncio.run(check(stranger)) == "bad_token"
    revoke_tokens(path)
    tokens.use_own(read_keys(path).token_key)
    assert asyncio.run(check(minted)) == "bad_token"
    assert asyncio.run(check(mint_token(path, "bolt", 1))) == "bolt"
    for workspace, days in (("a b", 1), ("acme", 0)):
        with pytest.raises(MeterhouseError):
            mint_token(path, workspace, days)
