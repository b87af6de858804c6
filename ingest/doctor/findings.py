"""What a check says: a verdict, what was seen, what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ingest.settings import Settings


class Verdict(Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """`seen` is a fact, `advice` the next step (empty when there is none to take)."""

    check: str
    verdict: Verdict
    seen: str
    advice: str = ""


Check = Callable[[Settings], Finding]


def ok(check: str, seen: str) -> Finding:
    return Finding(check, Verdict.OK, seen)


def warn(check: str, seen: str, advice: str) -> Finding:
    return Finding(check, Verdict.WARN, seen, advice)


def fail(check: str, seen: str, advice: str) -> Finding:
    return Finding(check, Verdict.FAIL, seen, advice)
