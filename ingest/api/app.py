"""The FastAPI application: routes, and what every request has in common (counting, refusing, the access log).

In: a Door. Out: an ASGI app whose OpenAPI page says what each route takes (openapi.py). A defect is a 500 with a
sentence and no detail, and is logged without the request's content.
"""

import time
from collections.abc import Awaitable, Callable

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ingest.api import openapi
from ingest.api.answers import outcome_answer, page, refusal_answer
from ingest.api.bodies import unpack
from ingest.api.door import Door
from ingest.api.events import WAY, take_events
from ingest.api.metrics import CONTENT_TYPE, Metric
from ingest.api.otlp import take_export
from ingest.api.otlp_answers import JSON, PROTOBUF, status_answer, taken_answer
from ingest.api.otlp_json import as_wire
from ingest.api.receiving import received
from ingest.api.refusal import Refusal
from ingest.signals import SIGNALS, Signal

log = structlog.get_logger()
Work = Callable[[], Awaitable[Response]]
Wording = Callable[[Refusal], Response]


def make_app(door: Door) -> FastAPI:
    """The app; nothing is started."""
    app = FastAPI(
        title=openapi.TITLE,
        version=openapi.VERSION,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        # The interactive pages load scripts from elsewhere; docs/front-door.md and /openapi.json say it all.
        docs_url=None,
        redoc_url=None,
    )

    @app.post("/v1/events", openapi_extra=openapi.EVENTS, responses=openapi.EVENTS_RESPONSES, tags=["events"])
    async def events(request: Request) -> Response:
        """Send 1 to 1,000 canonical events; acknowledged once Kafka has them."""

        async def work() -> Response:
            async with received(door, request, WAY) as it:
                outcome = await take_events(
                    door, it.credential, it.body, media_type=it.media_type, encoding=it.encoding, budget=it.stay
                )
            return outcome_answer(outcome)

        return await answered(door, request, WAY, work, refusal_answer)

    @app.post(
        "/v1/product-events", openapi_extra=openapi.RESERVED, responses=openapi.RESERVED_RESPONSES, tags=["events"]
    )
    async def product_events() -> Response:
        """Reserved."""
        return refusal_answer(
            Refusal(501, "reserved", "Product events are not taken yet; this path is reserved for them.")
        )

    for signal in SIGNALS:
        _add_otlp(app, door, signal)
    _add_pages(app, door)

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        answer = refusal_answer(Refusal(error.status_code, "http_error", f"{error.detail}."))
        answer.headers.update(error.headers or {})
        return answer

    return app


def _add_otlp(app: FastAPI, door: Door, signal: Signal) -> None:
    @app.post(
        f"/v1/{signal}",
        openapi_extra=openapi.OTLP,
        responses=openapi.OTLP_RESPONSES,
        tags=["otlp"],
        operation_id=f"export_{signal}",
    )
    async def export(request: Request) -> Response:
        """Send one OTLP export request, in protobuf or JSON; acknowledged once Kafka has it."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()

        async def work() -> Response:
            async with received(door, request, signal) as it:
                if media_type not in (PROTOBUF, JSON):
                    raise Refusal(415, "unknown_content_type", f"Content-Type: {PROTOBUF} or {JSON} is expected.")
                limit = door.settings.api_max_unpacked_bytes
                wire = unpack(it.body, it.encoding, it.stay, limit=limit)
                if media_type == JSON:
                    wire = await as_wire(signal, wire, depth=door.settings.api_max_depth)
                return taken_answer(signal, await take_export(door, it.credential, signal, wire), media_type)

        return await answered(door, request, signal, work, lambda refusal: status_answer(refusal, media_type))


def _add_pages(app: FastAPI, door: Door) -> None:
    @app.get("/healthz", responses=openapi.HEALTH_RESPONSES, tags=["server"])
    async def healthz() -> Response:
        """Whether this process is worth keeping."""
        return page(200, {"status": "alive", "reasons": []})

    @app.get("/readyz", responses=openapi.READY_RESPONSES, tags=["server"])
    async def readyz() -> Response:
        """Whether it should get requests."""
        reasons = door.reasons_not_ready()
        return page(503 if reasons else 200, {"status": "not ready" if reasons else "ready", "reasons": reasons})

    @app.get("/metrics", responses=openapi.METRICS_RESPONSES, tags=["server"])
    async def metrics() -> Response:
        """Prometheus' text format."""
        door.refresh_gauges()
        return Response(door.metrics.render(), media_type=None, headers={"content-type": CONTENT_TYPE})


async def answered(door: Door, request: Request, way: str, work: Work, word: Wording) -> Response:
    """The answer of `work`, whatever happens; counted, timed, logged where that is asked for."""
    started = time.perf_counter()
    code = ""
    try:
        answer = await work()
    except Refusal as refusal:
        code = refusal.code
        door.metrics.count(Metric.REFUSALS, 1, way, code)
        answer = word(refusal)
    except Exception as error:  # noqa: BLE001  # a defect of ours: the client learns that, the process goes on
        code = "defect"
        # The type and the place, not the message: that may hold what the client sent.
        log.error("front_door_defect", way=way, error=type(error).__name__, at=_place(error))
        answer = word(Refusal(500, code, "This server has a defect; the request was not taken."))
    seconds = time.perf_counter() - started
    door.metrics.count(Metric.REQUESTS, 1, way, str(answer.status_code))
    door.metrics.observe(Metric.REQUEST_SECONDS, seconds, way)
    if door.settings.api_access_log:
        size = request.headers.get("content-length", "?")[:20]
        log.info("request", way=way, status=answer.status_code, code=code, bytes=size, ms=round(seconds * 1000, 1))
    return answer


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace is not None else ""
