"""The loader's columns keep the door's rules: whatever the door would take out does not land, and nothing else goes."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.contracts.otlp_privacy import ExportRequest, scrub
from ingest.contracts.outcome import EventLimits
from ingest.loader.otlp import OtlpDecoder
from ingest.loader.otlp_wire import REQUESTS, Signal
from ingest.loader.run import Decoded
from tests.support.otlp import PLANTED, log_requests, metric_requests, trace_requests

JUDGED_AT_MS = 1_795_426_300_000
_SIGNALS: dict[type[ExportRequest], Signal] = {kind: signal for signal, kind in REQUESTS.items()}


def landed(request: ExportRequest) -> Decoded:
    decoder = OtlpDecoder(_SIGNALS[type(request)], EventLimits(max_age_ms=10**15), max_bytes=4 << 20, workspace="acme")
    return decoder.decode([request.SerializeToString()], JUDGED_AT_MS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(trace_requests, log_requests, metric_requests))
def test_what_the_door_would_take_out_does_not_land_and_all_else_does(request: ExportRequest) -> None:
    straight = landed(request)
    clean = type(request).FromString(request.SerializeToString())
    scrub(clean, {})
    through_the_door = landed(clean)
    assert straight.rows.to_pydict() == through_the_door.rows.to_pydict()
    assert PLANTED not in str(straight.rows.to_pydict())
    assert [str(one.rows) for one in straight.others] == [str(one.rows) for one in through_the_door.others]
    assert PLANTED not in str([one.payload for one in straight.rejected])
