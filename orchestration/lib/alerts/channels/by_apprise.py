"""PagerDuty, and every other service apprise knows by an address.

PagerDuty keeps one incident a dedup key, and the key is the thread: a second attempt changes nothing there, and the end
of the alert closes the incident. Other services get one text a message.
"""

import logging
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

from orchestration.lib.alerts.channels.base import ChannelError
from orchestration.lib.alerts.notice import Notice, as_text

_SEVERITIES: Final = {"page": "critical", "ticket": "warning", "notice": "info"}
# What apprise logs where a service answered.
_STATUS: Final = re.compile(r"error=(\d{3})")
_COME_AGAIN: Final = ("408", "425", "429")


class PagerDuty:
    """One integration of PagerDuty's events."""

    def __init__(self, integration_key: str, region: str, timeout_s: float) -> None:
        self._key, self._region, self._timeout_s = integration_key, region, timeout_s

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        del key, may_be_second  # PagerDuty goes by the thread
        options = {
            "action": "resolve" if notice.is_over else "trigger",
            "dedup": notice.thread,
            "severity": _SEVERITIES.get(notice.severity, "critical"),
            "class": notice.rule_id,
            "region": self._region,
            "image": "no",
            "rto": f"{self._timeout_s:.1f}",
            "cto": f"{self._timeout_s:.1f}",
            "+alerts": "; ".join(f"{line.subject}: {line.says} since {line.since:%H:%M}" for line in notice.alerts),
            "+largest": "; ".join(notice.contributors),
            "+runbook": notice.runbook_url or notice.runbook,
        }
        if notice.runbook_url:
            options["click"] = notice.runbook_url
        # Its events need the integration's key only; the API's key is for what we do not do.
        url = f"pagerduty://{quote(self._key, safe='')}@events/meterhouse/{quote(notice.rule_id, safe='')}"
        _notify(f"{url}?{urlencode(options, quote_via=quote)}", "", notice.title, is_over=notice.is_over)


class AnyService:
    """Whatever the address names."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url, self._timeout_s = url, timeout_s

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        again = "This may be the second time you read this.\n\n" if may_be_second else ""
        text = f"{again}{as_text(notice)}\nKey {key}"
        _notify(self._url, notice.title, text, is_over=notice.is_over)


class _Answers(logging.Handler):
    """Keeps the numbers of answers that apprise logs, and nothing else: its lines may hold addresses."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.statuses: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.statuses += _STATUS.findall(record.getMessage())


def _notify(url: str, title: str, body: str, *, is_over: bool) -> None:
    import apprise

    service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise ChannelError("apprise knows no service of this address", is_final=True)
    # What waits between two requests of one object has nothing to wait for here.
    service.request_rate_per_sec = 0
    answers, log = _Answers(), logging.getLogger("apprise")
    log.addHandler(answers)
    was_propagating, log.propagate = log.propagate, False
    try:
        kind = apprise.NotifyType.SUCCESS if is_over else apprise.NotifyType.FAILURE
        was_taken = service.notify(body=body, title=title, notify_type=kind)
    except TypeError as error:
        raise ChannelError(f"apprise could not write the message ({error})", is_final=True) from error
    finally:
        log.propagate = was_propagating
        log.removeHandler(answers)
    if not was_taken:
        raise ChannelError(
            _reason(answers.statuses), is_final=_is_final(answers.statuses), is_unknown=not answers.statuses
        )


def _reason(statuses: Sequence[str]) -> str:
    return f"HTTP {statuses[-1]}" if statuses else "no answer"


def _is_final(statuses: Sequence[str]) -> bool:
    return bool(statuses) and statuses[-1].startswith("4") and statuses[-1] not in _COME_AGAIN
