"""Bearer tokens by the keys of a server: rotated, away, back, and answering nonsense; a real one, on loopback."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ingest.api import tokens as module
from ingest.api.refusal import Refusal
from ingest.api.tokens import TokenRules, Tokens
from ingest.errors import MeterhouseError

Key = ed25519.Ed25519PrivateKey
RULES = TokenRules(None, None, "tenant")


class KeyServer:
    """Answers with `body`; `is_away` closes connections without a word."""

    def __init__(self) -> None:
        self.body, self.is_away, self.asked = b"", False, 0
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.asked += 1
                if served.is_away:
                    self.connection.close()
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(served.body)))
                self.end_headers()
                self.wfile.write(served.body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def publish(self, **keys: Key) -> None:
        """These keys and no others."""
        algorithm = jwt.algorithms.OKPAlgorithm
        found = [{**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name} for name, key in keys.items()]
        self.body = json.dumps({"keys": found}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = KeyServer()
    yield made
    made.close()


def token(key: Key, kid: str) -> str:
    return jwt.encode({"tenant": "acme", "exp": time.time() + 60}, key, "EdDSA", {"kid": kid})


def outcome(tokens: Tokens, text: str) -> str | int:
    """The workspace, or the status of the refusal."""
    try:
        return asyncio.run(tokens.check(text)).workspace_id
    except Refusal as refusal:
        return refusal.status


def test_a_rotated_key_is_found_and_a_withdrawn_one_takes_its_tokens_along(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REREAD_EVERY_S", 0.0)
    old, new = Key.generate(), Key.generate()
    server.publish(a=old)
    tokens = Tokens(server.url, RULES)
    assert [outcome(tokens, token(old, "a")), outcome(tokens, token(old, "a"))] == ["acme", "acme"]
    assert server.asked == 1
    server.publish(b=new)
    of_old = token(old, "a")
    assert outcome(tokens, token(new, "b")) == "acme"
    assert outcome(tokens, of_old) == 401


def test_while_the_server_is_away_known_keys_hold_and_of_others_nobody_says_that_they_are_bad(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, other = Key.generate(), Key.generate()
    server.publish(a=key)
    server.is_away = True
    tokens = Tokens(server.url, RULES)
    # Within the ten seconds in which it is not asked again, too: 401 would make an exporter give up for good.
    assert [outcome(tokens, token(key, "a")), outcome(tokens, token(key, "a"))] == [503, 503]
    server.is_away = False
    monkeypatch.setattr(module, "_REREAD_EVERY_S", 0.0)
    assert outcome(tokens, token(key, "a")) == "acme"
    server.is_away = True
    assert [outcome(tokens, token(key, "a")), outcome(tokens, token(other, "b"))] == ["acme", 503]
    server.is_away, server.body = False, b"<html>"
    assert [outcome(tokens, token(key, "a")), outcome(tokens, token(other, "b"))] == ["acme", 503]
    server.publish(a=key)
    assert outcome(tokens, token(other, "b")) == 401


def test_an_unknown_key_does_not_make_the_server_be_asked_each_time(server: KeyServer) -> None:
    key = Key.generate()
    server.publish(a=key)
    tokens = Tokens(server.url, RULES)
    assert [outcome(tokens, token(key, f"k{number}")) for number in range(5)] == [401] * 5
    assert server.asked == 1


def test_keys_come_in_the_clear_from_this_machine_only() -> None:
    with pytest.raises(MeterhouseError, match="https:// only"):
        Tokens("http://keys.example.com/jwks.json", RULES)
