"""A front door as a process, and a client that signs as the documents say, by the standard library alone."""

import hashlib
import hmac
import http.client
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Message

from ingest.api.key_changes import add_key
from ingest.api.own_tokens import mint_token
from ingest.embedded.processes import METERHOUSE
from ingest.embedded.stack import answers_ok
from tests.support.servers import Server, free_port, launch
from tests.support.topics import all_of


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)
        return found


@dataclass
class RunningDoor:
    """`secrets` by workspace; the key's id is the workspace's name."""

    server: Server
    folder: Path
    bootstrap: str
    prefix: str
    port: int
    grpc_port: int
    secrets: dict[str, str]
    token: str
    """A bearer token of `acme`."""

    def signing(self, body: bytes, workspace: str = "acme", at_s: float | None = None) -> dict[str, str]:
        """The three headers of a signature."""
        timestamp = f"{time.time() if at_s is None else at_s:.6f}"
        message = timestamp.encode() + b"." + body
        return {
            "X-Meterhouse-Key": workspace,
            "X-Meterhouse-Timestamp": timestamp,
            "X-Meterhouse-Signature": hmac.new(self.secrets[workspace].encode(), message, hashlib.sha256).hexdigest(),
        }

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = "application/json",
        *,
        workspace: str = "acme",
        headers: dict[str, str] | None = None,
        signing: dict[str, str] | None = None,
    ) -> Answer:
        """One signed request on a connection of its own."""
        signed = self.signing(body, workspace) if signing is None else signing
        return self.request("POST", path, body, {"Content-Type": content_type, **signed, **(headers or {})})

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def messages(self, topic: str) -> list[Message]:
        """All that the topic holds."""
        return all_of(self.bootstrap, f"{self.prefix}{topic}")

    def metric(self, name: str) -> float:
        """The sum of a metric's series."""
        lines = self.request("GET", "/metrics").body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def start_door(
    folder: Path,
    bootstrap: str,
    *,
    prefix: str = "",
    more: dict[str, str] | None = None,
    port: int | None = None,
    is_ready: Callable[[int], bool] = lambda port: answers_ok(f"http://127.0.0.1:{port}/healthz"),
) -> RunningDoor:
    """Keys for two workspaces, `acme` and `bolt`, and a server that is ready."""
    keys = folder / "keys.json"
    secrets: dict[str, str] = {}
    if not keys.exists():
        secrets = {name: add_key(keys, name, name, (), 0.0).secrets[0] for name in ("acme", "bolt")}
    token = mint_token(keys, "acme", 1)
    port, grpc_port = port or free_port(), free_port()
    environment = {
        "METERHOUSE_HOME": str(folder),
        "METERHOUSE_KAFKA_BOOTSTRAP": bootstrap,
        "METERHOUSE_TOPIC_PREFIX": prefix,
        "METERHOUSE_API_KEYS_FILE": str(keys),
        "METERHOUSE_API_PORT": str(port),
        "METERHOUSE_API_GRPC_PORT": str(grpc_port),
        "METERHOUSE_API_ACCESS_LOG": "true",
        "PYTHONPATH": os.getcwd(),  # noqa: PTH109  # a string is what an environment holds
        **(more or {}),
    }
    server = launch(
        [*METERHOUSE, "serve"],
        folder / "serve.log",
        lambda: is_ready(port),
        env=environment,
    )
    return RunningDoor(server, folder, bootstrap, prefix, port, grpc_port, secrets, token)
