"""Send e-mail over SMTP (RFC 5321) with TLS: one plain-text mail to one address, which no reply can answer.

Each mail uses its own connection, since there are few. Of a server's reply only the code is passed on, since replies
repeat addresses.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import aiosmtplib

from answerable.adapters.smtp.mail import mail_of, name_of_mail
from answerable.connection_fault import certificate_fault, connection_fault
from answerable.ports.message_channel import Sent

if TYPE_CHECKING:
    from answerable.core.approval.message import Message

TlsKind = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server and its account.

    tls: `starttls` before anything else is sent, `tls` from the first byte, or `none` for a server on loopback. user:
    empty for no login. context: the TLS context with the trusted certificates. sender: the From address.
    answer_seconds_max: how long the server may take to respond.
    """

    host: str
    port: int
    tls: TlsKind
    sender: str
    context: ssl.SSLContext = field(repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    answer_seconds_max: float = 10.0


class SmtpChannel:
    """Implements ports.message_channel.MessageChannel."""

    updates: Final = True

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, message: Message, address: str, *, handle: str, now: int) -> Sent:
        """Send a message. handle: of the mail that this one follows up."""
        server = self._server
        name = name_of_mail(message, address, sender=server.sender)
        mail = mail_of(message, address, sender=server.sender, name=name, follows=handle, now=now)
        connection = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.sender.rpartition("@")[2],
            timeout=server.answer_seconds_max,
            use_tls=server.tls == "tls",
            # STARTTLS is never opportunistic: a server that stops offering it gets no mail.
            start_tls=server.tls == "starttls",
            tls_context=None if server.tls == "none" else server.context,
        )
        try:
            await connection.connect()
            if server.user:
                await connection.login(server.user, server.password)
            await connection.sendmail(server.sender, [address], bytes(mail))
        except (aiosmtplib.SMTPException, OSError, ValueError) as fault:
            return _fault(fault)
        else:
            # The server has accepted the mail; later replies change nothing.
            with suppress(aiosmtplib.SMTPException, OSError):
                await connection.quit()
            return Sent(state="taken", handle=name)
        finally:
            connection.close()


def _fault(fault: Exception) -> Sent:
    if certificate_fault(fault):
        return Sent(state="down", why=f"the server cannot be reached: {connection_fault(fault)}")
    match fault:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return _refused(refused[0].code if refused else 0, "the address")
        case aiosmtplib.SMTPDataError(code=code):
            return _refused(code, "the mail")
        case aiosmtplib.SMTPAuthenticationError(code=code):
            return Sent(state="down", why=f"the server refused the sign-in with code {code}")
        case aiosmtplib.SMTPResponseException(code=code):
            return Sent(state="down", why=f"the server refused us with code {code}")
        case aiosmtplib.SMTPTimeoutError() | TimeoutError():
            return Sent(state="down", why="the server did not answer in time")
        case aiosmtplib.SMTPServerDisconnected():
            return Sent(state="down", why="the server closed the connection")
        case aiosmtplib.SMTPNotSupported():
            return Sent(
                state="down", why="the server offers no way to sign in that we know: nothing was sent"
            )
        # The library has no exception class for this case.
        case aiosmtplib.SMTPException(args=[str(words)]) if "STARTTLS" in words:
            return Sent(
                state="down",
                why="the server does not offer STARTTLS, so nothing was sent: see `channels.email_tls`",
            )
        case _:
            return Sent(state="down", why=f"the server cannot be reached: {connection_fault(fault)}")


def _refused(code: int, what: str) -> Sent:
    """Classify a refusal: a 4yz code may change later, as with greylisting; a 5yz code will not (RFC 5321, section
    4.2.1)."""
    state: Literal["never", "later"] = "never" if 500 <= code < 600 else "later"
    return Sent(state=state, why=f"the server refused {what} with code {code}")
