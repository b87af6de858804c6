"""The front door with a certificate of its own, by HTTP and by gRPC; the certificate is made here."""

import datetime as dt
import http.client
import ipaddress
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from tests.conftest import Broker
from tests.support.door import RunningDoor, start_door


@dataclass
class SecureDoor:
    door: RunningDoor
    certificate: Path

    @property
    def trust(self) -> ssl.SSLContext:
        """Of a client that knows this one certificate."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def post(self, path: str, body: bytes) -> int:
        connection = http.client.HTTPSConnection("127.0.0.1", self.door.port, timeout=20, context=self.trust)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", **self.door.signing(body)})
            return connection.getresponse().status
        finally:
            connection.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one for 127.0.0.1 and its key, as PEM files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


@pytest.fixture(scope="module")
def secure(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureDoor]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, private = make_certificate(folder)

    def is_ready(port: int) -> bool:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=2, context=ssl.create_default_context(cafile=str(certificate))
        )
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    running = start_door(
        folder,
        broker.bootstrap,
        prefix=f"{folder.name}_",
        more={"METERHOUSE_API_TLS_CERTIFICATE": str(certificate), "METERHOUSE_API_TLS_KEY": str(private)},
        is_ready=is_ready,
    )
    yield SecureDoor(running, certificate)
    running.server.stop()


def test_events_by_https_are_in_kafka_and_plain_http_is_not_served(secure: SecureDoor) -> None:
    event = {
        "event_id": str(uuid.uuid4()),
        "event_type": "llm_call",
        "occurred_at": int(time.time() * 1000),
        "workspace_id": "acme",
    }
    assert secure.post("/v1/events", json.dumps([event]).encode()) == 200
    assert [json.loads(one.value() or b"")["event_id"] for one in secure.door.messages("agent_events")] == [
        event["event_id"]
    ]
    with pytest.raises((http.client.HTTPException, OSError)):
        secure.door.request("GET", "/healthz")


def test_spans_by_grpc_over_tls_are_in_kafka_and_a_client_without_the_certificate_is_not_served(
    secure: SecureDoor,
) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name="chat", start_time_unix_nano=time.time_ns())
    span.trace_id, span.span_id = uuid.uuid4().bytes, uuid.uuid4().bytes[:8]
    target, headers = f"127.0.0.1:{secure.door.grpc_port}", [("authorization", f"Bearer {secure.door.token}")]
    trusting = grpc.ssl_channel_credentials(secure.certificate.read_bytes())
    with grpc.secure_channel(target, trusting) as channel:
        answer = TraceServiceStub(channel).Export(request, timeout=20, metadata=headers)  # type: ignore[no-untyped-call]
    assert answer.partial_success.rejected_spans == 0
    assert len(secure.door.messages("otlp_traces")) == 1
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError):
        TraceServiceStub(channel).Export(request, timeout=3, metadata=headers)  # type: ignore[no-untyped-call]
