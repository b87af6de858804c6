"""The front door's settings, a part of Settings: where it listens, whom it lets in, and how much at once.

Every buffer, body, wait and rate of `meterhouse serve` has its bound here.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Bytes = Annotated[int, Field(ge=1024, le=8 << 30)]


class DoorSettings(BaseSettings):
    """What `meterhouse serve` and `meterhouse keys` read."""

    api_host: str = Field(default="127.0.0.1", description="Address the front door listens on")
    api_port: int = Field(default=4318, ge=0, le=65535, description="Its HTTP port (OTLP's own); 0 takes a free one")
    api_grpc: bool = Field(default=True, description="Whether the front door speaks OTLP over gRPC too")
    api_grpc_port: int = Field(default=4317, ge=0, le=65535, description="Port of OTLP over gRPC; 0 takes a free one")
    api_tls_certificate: Path | None = Field(
        default=None, description="PEM file of the front door's certificate chain; unset: plain HTTP and gRPC"
    )
    api_tls_key: Path | None = Field(default=None, description="PEM file of the private key of that certificate")
    api_trusted_proxies: str = Field(
        default="",
        pattern=r"^[0-9A-Fa-f.:/, *]*$",
        description="Addresses or networks, separated by commas, whose X-Forwarded-For is believed",
    )
    api_keys_file: Path | None = Field(
        default=None, description="File of signing keys and identity keys; unset: door/keys.json in METERHOUSE_HOME"
    )
    api_jwks: str | None = Field(
        default=None, description="File or https:// URL of the JWKS that bearer tokens are checked with; unset: none"
    )
    api_jwt_issuer: str | None = Field(default=None, description="Issuer (iss) a bearer token must have; unset: any")
    api_jwt_audience: str | None = Field(
        default=None, description="Audience (aud) a bearer token must have; unset: tokens for nobody in particular"
    )
    api_jwt_tenant_claim: str = Field(
        default="workspace_id", min_length=1, max_length=200, description="Claim of a token that names the workspace"
    )
    api_signature_window_s: Seconds = Field(
        default=300.0, description="Farthest a signature's timestamp may be from the clock, either way"
    )
    api_replay_entries: int = Field(
        default=500_000, ge=1_000, le=50_000_000, description="Most signatures remembered within that window"
    )
    api_max_events: int = Field(default=1_000, ge=1, le=100_000, description="Most events of one request")
    api_max_body_bytes: Bytes = Field(default=4 << 20, description="Largest request body as it is sent")
    api_max_unpacked_bytes: Bytes = Field(default=16 << 20, description="Largest request body once decompressed")
    api_max_depth: int = Field(default=32, ge=4, le=64, description="Deepest nesting of a value in OTLP")
    api_max_requests: int = Field(default=256, ge=1, le=100_000, description="Requests worked on at the same time")
    api_max_connections: int = Field(default=2_048, ge=1, le=1_000_000, description="HTTP connections open at once")
    api_body_memory_bytes: Bytes = Field(
        default=128 << 20, description="Most bytes of bodies in memory, over all requests; 503 above it"
    )
    api_queue_bytes: Bytes = Field(
        default=64 << 20, description="Most bytes that wait for Kafka's acknowledgement; 503 above it"
    )
    api_queue_messages: int = Field(
        default=200_000, ge=1_000, le=10_000_000, description="Most messages that wait for it; 503 above it"
    )
    api_message_bytes: Bytes = Field(
        default=900_000, description="Largest Kafka message of OTLP; a larger export is split, one span is refused"
    )
    api_key_events_per_s: float = Field(
        default=20_000.0, gt=0, le=10_000_000, description="Events, spans or records a second of a key without a rate"
    )
    api_address_requests_per_s: float = Field(
        default=1_000.0, gt=0, le=1_000_000, description="Requests a second from one address (IPv6: one /64 network)"
    )
    api_read_timeout_s: Seconds = Field(default=10.0, description="Longest wait for a request's head, and for its body")
    api_ack_timeout_s: Seconds = Field(default=15.0, description="Longest wait for Kafka's acknowledgement; then 503")
    api_drain_deadline_s: Seconds = Field(default=25.0, description="How long a stopping front door may finish")
    api_access_log: bool = Field(default=False, description="Log each request: path, status, sizes, time; no content")
