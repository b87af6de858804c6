"""Structured logs: one line an event on stderr, `key=value` for people, JSON where METERHOUSE_LOG_FORMAT=json.

Values are counts, coordinates and names; payloads and identifiers are never logged.
"""

import logging
import sys
from typing import Literal

import structlog

LogFormat = Literal["text", "json"]


def configure_logs(level: str = "INFO", log_format: LogFormat = "text") -> None:
    """Routes structlog and the standard library's loggers to stderr. Call once, at the start of a process."""
    numeric_level = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(
        level=max(numeric_level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(message)s"
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric_level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
