"""A message to an incoming webhook of Slack (or what speaks like one): blocks, with the plain text for notifications.

Slack forgets keys: a second attempt after an unknown first one is a second message, and says that it may be.
"""

import json
from collections.abc import Mapping
from typing import Final

from orchestration.lib.alerts.channels.base import post
from orchestration.lib.alerts.notice import Notice, moment

# Slack's own limits: a header's and a section's characters.
_HEADER, _SECTION = 150, 2900
_SIGNS: Final = {"page": ":rotating_light:", "ticket": ":warning:", "notice": ":information_source:"}


class Slack:
    """One incoming webhook."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        body = json.dumps(payload(notice, may_be_second=may_be_second)).encode()
        post(self._url, body, {"Content-Type": "application/json", "Idempotency-Key": key}, self._timeout_s)


def payload(notice: Notice, *, may_be_second: bool) -> Mapping[str, object]:
    """What Slack shows."""
    sign = ":white_check_mark:" if notice.is_over else _SIGNS.get(notice.severity, "")
    lines = [f"*{_plain(notice.what)}*"]
    for line in notice.alerts:
        span = f"since {moment(line.since)}" + (f", over at {moment(line.ended_at)}" if line.ended_at else "")
        lines.append(f"• _{line.now}_ *{_plain(line.subject)}*: {_plain(line.says)}; {span}")
    lines += [f"• and {notice.more} more"] if notice.more else []
    for heading, said in (("How bad", notice.how_bad), ("Hurts", notice.hurts), ("Largest", notice.contributors)):
        lines += [f"*{heading}:* {_plain('; '.join(said))}"] if said else []
    runbook = f"<{notice.runbook_url}|runbook>" if notice.runbook_url else f"`{notice.runbook}`"
    look = f"<{notice.query_url}|look>" if notice.query_url else f"`{_plain(notice.query)}`"
    remarks = [*notice.remarks, *(["This may be the second time you read this."] if may_be_second else [])]
    foot = f"{runbook} · {look} · owner {_plain(notice.owner) or 'nobody named'} · {_plain(notice.thread)}"
    return {
        "text": f"{sign} {_plain(notice.title)}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": f"{sign} {notice.title}"[:_HEADER]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:_SECTION]}},
            *({"type": "context", "elements": [{"type": "mrkdwn", "text": _plain(one)}]} for one in remarks),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": foot[:_SECTION]}]},
        ],
    }


def _plain(text: str) -> str:
    """Subjects are names that producers chose: they mention nobody and link nowhere."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
