"""A mail by SMTP. Its Message-ID is made of the key, so mail systems that drop copies drop a second attempt; the mails
of one thread refer to each other, so readers show them together.

Not by apprise: it gives every attempt a Message-ID of its own, and tells a refusal from an outage by nothing.
"""

import hashlib
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from orchestration.lib.alerts.channels.base import ChannelError
from orchestration.lib.alerts.notice import Notice, as_text
from orchestration.lib.alerts.routes_schema import EmailChannel


class Email:
    """One list of receivers at one server."""

    def __init__(self, options: EmailChannel, user: str, password: str) -> None:
        self._options = options
        self._user, self._password = user, password
        self._host, _, port = options.smtp.rpartition(":")
        self._port = int(port)

    def send(self, notice: Notice, key: str, *, may_be_second: bool) -> None:
        mail = self.mail(notice, key, may_be_second=may_be_second)
        try:
            with self._connect() as server:
                if self._options.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self._user:
                    server.login(self._user, self._password)
                refused = server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            raise ChannelError(f"SMTP {error.smtp_code}", is_final=500 <= error.smtp_code < 600) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _ in error.recipients.values()}
            raise ChannelError(f"SMTP {max(codes)} for every receiver", is_final=min(codes) >= 500) from error
        except (OSError, smtplib.SMTPException) as error:
            is_refused = isinstance(error, ConnectionRefusedError | smtplib.SMTPConnectError)
            raise ChannelError(f"no answer ({type(error).__name__})", is_unknown=not is_refused) from error
        if refused:
            # The others have it: to send it again would be twice for them.
            raise ChannelError(f"{len(refused)} of {len(self._options.to)} receivers refused", is_final=True)

    def mail(self, notice: Notice, key: str, *, may_be_second: bool) -> EmailMessage:
        """The mail as it is sent."""
        mail = EmailMessage()
        # A subject names what producers named: no line break of theirs makes a header.
        mail["Subject"] = " ".join(f"[meterhouse] {notice.title}".split())
        mail["From"] = self._options.sender
        mail["To"] = [Address(addr_spec=one) for one in self._options.to]
        mail["Date"] = format_datetime(notice.at)
        domain = self._options.sender.rpartition("@")[2]
        mail["Message-ID"] = f"<{_digest(key)}@{domain}>"
        mail["References"] = f"<thread.{_digest(notice.thread)}@{domain}>"
        mail["X-Meterhouse-Thread"] = " ".join(notice.thread.split())
        mail["Auto-Submitted"] = "auto-generated"
        again = "This may be the second time you read this.\n\n" if may_be_second else ""
        mail.set_content(again + as_text(notice))
        return mail

    def _connect(self) -> smtplib.SMTP:
        timeout = self._options.timeout.total_seconds()
        if self._options.security == "tls":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=timeout, context=ssl.create_default_context())
        return smtplib.SMTP(self._host, self._port, timeout=timeout)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
