"""What each channel really sends, to receivers on loopback, and how it takes a refusal."""

import json
import smtplib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

import apprise.plugins.pagerduty as apprise_pagerduty
import msgspec
import pytest

from orchestration.lib.alerts.channels import ChannelError, channel_of, missing_variables
from orchestration.lib.alerts.channels.slack import payload
from orchestration.lib.alerts.channels.webhook import sign
from orchestration.lib.alerts.notice import AlertLine, Notice, decode
from orchestration.lib.alerts.routes import parse
from tests.orchestration.alerts_support import minutes, receiving

LINE = AlertLine(
    subject="openai_succeeds", now="new", severity="page", value=20.0, threshold=14.4, since=minutes(-5),
    ended_at=None, says="burn 20 (limit 14.4)", dedup_key="burn_page/acme/openai_succeeds",
)  # fmt: skip
NOTICE = Notice(
    message_id="m1", thread="burn_page/acme/7", kind="firing", severity="page", rule_id="burn_page",
    workspace_id="acme", owner="oncall", at=minutes(0), title="PAGE burn_page in acme: openai_succeeds",
    what="The budget goes fast.", alerts=[LINE], more=3, how_bad=["burn 20"], hurts=["40 of 100 events"],
    contributors=["triage on gpt-5: 30 failed"], complete_to=minutes(0), remarks=["2 more wait."], query="select 1",
    query_url="", runbook="docs/runbooks/burn_page.md", runbook_url="https://docs/runbooks/burn_page.md",
)  # fmt: skip
OVER = msgspec.structs.replace(NOTICE, message_id="m2", kind="resolved")


def channels(smtp_port: int = 1) -> str:
    return f"""
version: 1
deliver_in: [prod]
channels:
  slack: {{kind: slack, url_env: SLACK_URL, timeout: 1s}}
  hook: {{kind: webhook, url_env: HOOK_URL, secret_env: HOOK_SECRET}}
  mail:
    {{kind: email, smtp: "127.0.0.1:{smtp_port}", from: m@a.com, to: [a@example.com, b@example.com], security: none}}
  pager: {{kind: pagerduty, integration_key_env: PAGER_KEY}}
  other: {{kind: apprise, url_env: OTHER_URL}}
routes: [{{to: [slack, hook, mail, pager, other]}}]
fallback: mail
"""


def send(name: str, notice: Notice = NOTICE, *, may_be_second: bool = False, smtp: int = 1, **environ: str) -> None:
    channel = channel_of(parse(channels(smtp), "test.yaml"), name, environ)
    channel.send(notice, f"{notice.message_id}/{name}", may_be_second=may_be_second)


def test_a_webhook_gets_the_whole_message_signed_and_with_a_key_that_every_attempt_shares() -> None:
    with receiving() as receiver:
        send("hook", HOOK_URL=receiver.url, HOOK_SECRET="s3cret")
        send("hook", may_be_second=True, HOOK_URL=receiver.url, HOOK_SECRET="s3cret")
        first, second = receiver.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "m1/hook"
    assert first.headers["X-Meterhouse-Thread"] == "burn_page/acme/7"
    stamp, _, digest = first.headers["X-Meterhouse-Signature"].partition(",v1=")
    assert digest == sign(b"s3cret", int(stamp.removeprefix("t=")), first.body)
    assert digest != sign(b"other", int(stamp.removeprefix("t=")), first.body)
    body = json.loads(second.body)
    assert body["may_be_second"] is True
    assert decode(json.dumps(body["notice"])) == NOTICE


def test_slack_gets_blocks_in_which_names_are_no_markup() -> None:
    hostile = msgspec.structs.replace(NOTICE, alerts=[msgspec.structs.replace(LINE, subject="<!channel> & <x|y>")])
    with receiving() as receiver:
        send("slack", hostile, may_be_second=True, SLACK_URL=receiver.url)
        text = receiver.requests[0].body.decode()
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp; &lt;x|y&gt;" in text
    assert "This may be the second time you read this." in text
    for part in ("burn 20 (limit 14.4)", "since 2026-11-20 11:55 UTC", "triage on gpt-5", "40 of 100", "and 3 more"):
        assert part in text
    assert "<https://docs/runbooks/burn_page.md|runbook>" in text
    long = msgspec.structs.replace(NOTICE, title="x" * 500, contributors=["y" * 9000])
    blocks = payload(long, may_be_second=False)["blocks"]
    assert isinstance(blocks, list)
    assert len(blocks[0]["text"]["text"]) <= 150
    assert all(len(one["text"]["text"]) <= 3000 for one in blocks if "text" in one)


@pytest.mark.parametrize(
    ("status", "headers", "is_final", "retry_after_s"),
    [(404, {}, True, None), (410, {}, True, None), (302, {"Location": "http://elsewhere/"}, True, None),
     (429, {"Retry-After": "30"}, False, 30.0), (503, {}, False, None)],
)  # fmt: skip
def test_a_refusal_says_whether_to_come_again_and_shows_no_secret(
    status: int, headers: dict[str, str], is_final: bool, retry_after_s: float | None
) -> None:
    with receiving() as receiver:
        receiver.answers.append((status, headers))
        with pytest.raises(ChannelError) as raised:
            send("slack", SLACK_URL=receiver.url)
    assert str(raised.value) == f"HTTP {status}"
    assert (raised.value.is_final, raised.value.is_unknown) == (is_final, False)
    assert raised.value.retry_after_s == retry_after_s


def test_who_is_not_there_got_nothing_and_who_never_answers_may_have_got_it() -> None:
    with pytest.raises(ChannelError) as absent:
        send("slack", SLACK_URL="http://127.0.0.1:9/secret")
    assert not absent.value.is_unknown
    assert "secret" not in str(absent.value)

    class Mute(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)

    with socketserver.TCPServer(("127.0.0.1", 0), Mute) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(ChannelError) as mute:
            send("slack", SLACK_URL=f"http://127.0.0.1:{server.server_address[1]}/")
    assert mute.value.is_unknown


@dataclass
class MailServer:
    """SMTP as much as a client needs; refuses what `refusals` says."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    made = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline().decode().strip():
                word = line.partition(" ")[0].upper()
                refusal = next((says for start, says in made.refusals.items() if line.startswith(start)), "")
                answer = refusal or {"DATA": "354 go on", "QUIT": "221 bye"}.get(word, "250 ok")
                self.wfile.write(f"{answer}\r\n".encode())
                if word == "DATA" and not refusal:
                    body = b""
                    while not body.endswith(b"\r\n.\r\n"):
                        body += self.rfile.readline()
                    made.mails.append(message_from_bytes(body[:-5], policy=policy.default))
                    self.wfile.write(b"250 taken\r\n")
                if word == "QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join(5)


def test_a_mail_has_one_id_whatever_the_attempt_and_one_thread_from_start_to_end(mail_server: MailServer) -> None:
    broken = msgspec.structs.replace(NOTICE, title="PAGE x\r\nBcc: everybody@example.com")
    send("mail", broken, smtp=mail_server.port)
    send("mail", broken, may_be_second=True, smtp=mail_server.port)
    send("mail", OVER, smtp=mail_server.port)
    first, again, over = mail_server.mails
    assert first["Message-ID"] == again["Message-ID"] != over["Message-ID"]
    assert first["References"] == over["References"]
    assert first["To"] == "a@example.com, b@example.com"
    assert "Bcc" not in first
    assert first["Subject"] == "[meterhouse] PAGE x Bcc: everybody@example.com"
    text = again.get_content()
    assert text.startswith("This may be the second time")
    assert "Runbook: https://docs/runbooks/burn_page.md" in text


@pytest.mark.parametrize(
    ("refusals", "says", "is_final"),
    [({"RCPT": "550 no such user"}, "SMTP 550 for every receiver", True),
     ({"RCPT": "450 busy"}, "SMTP 450 for every receiver", False),
     ({"rcpt TO:<b": "550 no such user"}, "1 of 2 receivers refused", True),
     ({"DATA": "451 later"}, "SMTP 451", False)],
)  # fmt: skip
def test_a_mail_server_that_refuses(
    mail_server: MailServer, refusals: dict[str, str], says: str, is_final: bool
) -> None:
    mail_server.refusals = {**refusals, **{start.replace("RCPT", "rcpt"): one for start, one in refusals.items()},
                            **{start.replace("DATA", "data"): one for start, one in refusals.items()}}  # fmt: skip
    with pytest.raises(ChannelError, match=says) as raised:
        send("mail", smtp=mail_server.port)
    assert raised.value.is_final is is_final
    assert not isinstance(raised.value.__cause__, smtplib.SMTPServerDisconnected)


def test_pagerduty_keeps_one_incident_a_thread_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setitem(apprise_pagerduty.PAGERDUTY_API_LOOKUP, apprise_pagerduty.PagerDutyRegion.US, receiver.url)
        send("pager", PAGER_KEY="k3y")
        send("pager", OVER, PAGER_KEY="k3y")
        receiver.answers.append((400, {}))
        with pytest.raises(ChannelError, match="HTTP 400") as raised:
            send("pager", PAGER_KEY="k3y")
        trigger, resolve = (json.loads(request.body) for request in receiver.requests[:2])
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"] == "burn_page/acme/7"
    assert trigger["routing_key"] == "k3y"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["class"] == "burn_page"
    assert "openai_succeeds" in trigger["payload"]["summary"]
    assert "triage on gpt-5" in trigger["payload"]["custom_details"]["largest"]
    assert raised.value.is_final


def test_any_service_of_apprise_is_an_address_in_the_environment() -> None:
    with receiving() as receiver:
        send("other", OTHER_URL=receiver.url.replace("http://", "json://"))
        body = json.loads(receiver.requests[0].body)
    assert body["title"] == NOTICE.title
    assert "m1/other" in body["message"]
    with pytest.raises(ChannelError, match="apprise knows no service") as raised:
        send("other", OTHER_URL="nothing://secret")
    assert "secret" not in str(raised.value)


def test_a_secret_that_is_not_set_is_named_and_a_channel_that_went_is_missed() -> None:
    with pytest.raises(ChannelError, match="SLACK_URL is not set"):
        send("slack")
    with pytest.raises(ChannelError, match="no channel 'gone' any more"):
        send("gone")
    assert missing_variables(
        parse(channels(), "test.yaml"), {"SLACK_URL": "x", "PAGER_KEY": "x", "OTHER_URL": "x"}
    ) == {"hook": ["HOOK_URL", "HOOK_SECRET"]}
