"""What /openapi.json says and what the server does agree, for requests that nobody thought of."""

import json
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.support.door import RunningDoor

KNOWN = ("method", "url", "headers", "params", "data", "json", "cookies", "files")


@schemathesis.serializer("application/x-ndjson", "application/x-protobuf")
def as_it_is(_: object, value: object) -> bytes:
    """Lines and protobuf are bytes already, or text that is sent as it is."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")


def test_no_request_makes_an_undocumented_answer(door: RunningDoor) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(door.request("GET", "/openapi.json").body))
    tried: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @given(operation.as_strategy())
        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def attempt(case: schemathesis.Case[Any]) -> None:
            sent = case.as_transport_kwargs(base_url=f"http://127.0.0.1:{door.port}")
            content = requests.Request(**{k: v for k, v in sent.items() if k in KNOWN}).prepare().body or b""
            content = content.encode() if isinstance(content, str) else content
            if content and isinstance(content, bytes):  # half of the point is what is behind the signature
                case.headers.update(door.signing(content))
            response = case.call(base_url=f"http://127.0.0.1:{door.port}")
            tried.setdefault(case.operation.path, set()).add(response.status_code)
            checks = [status_code_conformance, response_schema_conformance]
            case.validate_response(response, checks=checks)
            assert response.status_code in (501, 503) or response.status_code < 500

        attempt()
    assert {"/v1/events", "/v1/traces", "/v1/logs", "/v1/metrics", "/readyz"} <= tried.keys()
    assert 400 in tried["/v1/events"] & tried["/v1/traces"]  # past the signature, to what the body holds
    assert "front_door_defect" not in door.server.log.read_text()
