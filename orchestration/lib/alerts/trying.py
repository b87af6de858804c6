"""A message that says it is a test, and sending it past the log."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from orchestration.lib.alerts.channels import ChannelError, channel_of
from orchestration.lib.alerts.notice import AlertLine, Notice
from orchestration.lib.alerts.routes import Routes
from orchestration.lib.alerts.routes_schema import PagerDutyChannel
from orchestration.lib.alerts.rules import meaning


def example_notice(rule: str, workspace: str, severity: str, owner: str, routes: Routes) -> Notice:
    """An alert that does not exist."""
    now = datetime.now(UTC)
    runbook = f"docs/runbooks/{rule}.md"
    line = AlertLine(
        subject="nothing at all", now="new", severity=severity, value=0.0, threshold=0.0,
        since=now - timedelta(minutes=5), ended_at=None, says="this is a test", dedup_key=f"{rule}/{workspace}/test",
    )  # fmt: skip
    return Notice(
        message_id=uuid.uuid4().hex, thread=f"{rule}/{workspace}/test", kind="firing", severity=severity,
        rule_id=rule, workspace_id=workspace, owner=owner, at=now,
        title=f"TEST, nothing is wrong: {severity} {rule} in {workspace}", what=meaning(rule).what, alerts=[line],
        more=0, how_bad=[], hurts=["nobody: this is a test"], contributors=[], complete_to=now,
        remarks=["Somebody ran `meterhouse alerts test --send`."], query="select 1", query_url="", runbook=runbook,
        runbook_url=f"{routes.links.docs}{runbook}" if routes.links.docs else "",
    )  # fmt: skip


def send_test(routes: Routes, names: Sequence[str], notice: Notice, environ: Mapping[str, str]) -> dict[str, str]:
    """Sends to each; why not, by the channel's name, where one did not. PagerDuty's incident is closed again."""
    troubles: dict[str, str] = {}
    for name in names:
        try:
            channel, key = channel_of(routes, name, environ), f"{notice.message_id}/{name}"
            channel.send(notice, key, may_be_second=False)
            if isinstance(routes.channels[name], PagerDutyChannel):
                channel.send(msgspec.structs.replace(notice, kind="resolved"), key, may_be_second=False)
        except ChannelError as error:
            troubles[name] = str(error)
    return troubles
