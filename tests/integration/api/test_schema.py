"""What /openapi.json says and what the server does agree, for requests that nobody thought of (schemathesis, briefly)."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.support.door import RunningDoor


@pytest.fixture(scope="module")
def api_schema(door: RunningDoor) -> object:
    return schemathesis.openapi.from_dict(json.loads(door.request("GET", "/openapi.json").body))


lazy_schema = schemathesis.pytest.from_fixture("api_schema")


@lazy_schema.parametrize()
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_makes_an_undocumented_answer(case: schemathesis.Case, door: RunningDoor) -> None:
    prepared = case.as_transport_kwargs(base_url=f"http://127.0.0.1:{door.port}")
    body = prepared.get("data") or (json.dumps(prepared["json"]).encode() if "json" in prepared else b"")
    if isinstance(body, bytes) and body:
        case.headers.update(door.signing(body))
    response = case.call(base_url=f"http://127.0.0.1:{door.port}")
    case.validate_response(response, checks=[_no_defect, status_code_conformance, response_schema_conformance])


def _no_defect(ctx: object, response: schemathesis.Response, case: schemathesis.Case) -> bool | None:
    """501 of the reserved path is no defect."""
    return None if response.status_code == 501 else not_a_server_error(ctx, response, case)  # type: ignore[arg-type]
