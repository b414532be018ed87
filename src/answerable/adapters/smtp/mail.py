"""Render one message as one mail. Plain text: nothing in it is markup, and only Answerable's own address is a link."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.approval.message import cut_texts, left, unlinked

if TYPE_CHECKING:
    from answerable.core.approval.message import Message

SUBJECT_CHARS_MAX: Final = 160
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]")


def name_of_mail(message: Message, address: str, *, sender: str) -> str:
    """Return the Message-ID: the same for every attempt, so that mail programs detect duplicates."""
    receiver = sha256(address.encode()).hexdigest()[:16]
    return f"<{_UNFIT.sub('-', message.id)[:100]}.{receiver}@{sender.rpartition('@')[2]}>"


def mail_of(
    message: Message, address: str, *, sender: str, name: str, follows: str, now: int
) -> EmailMessage:
    """Build a mail. follows: Message-ID of an earlier mail on the same subject; empty for none. now: Unix
    milliseconds."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(display_name="Answerable", addr_spec=sender)
    mail["To"] = Address(addr_spec=address)
    mail["Subject"] = _as_text(cut_texts([message.title, unlinked(message.sentence)], SUBJECT_CHARS_MAX))
    mail["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
    mail["Message-ID"] = name
    if follows:
        mail["In-Reply-To"] = follows
        mail["References"] = follows
    # RFC 3834: prevents automatic replies.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["List-Id"] = f"Approvals <approvals.{sender.rpartition('@')[2]}>"
    mail.set_content(_text(message, now), charset="utf-8", cte="quoted-printable")
    return mail


def _as_text(text: str) -> str:
    """Prevent a header text from containing an encoded word (RFC 2047). Otherwise text chosen by an agent could hold a
    line break, and so a header of its own, or hide its content until a mail program decodes it."""
    return text.replace("=?", "= ?")


def _text(message: Message, now: int) -> str:
    parts = [f"{message.title}.", "", unlinked(message.sentence), ""]
    if message.badges:
        parts.append(unlinked(" · ".join(message.badges)))
    parts += [unlinked(f"{label}: {text}") for label, text in message.lines]
    if message.until:
        until = datetime.fromtimestamp(message.until / 1000, UTC)
        parts.append(f"until: {until:%Y-%m-%d %H:%M} UTC, {left(message, now)}")
    if message.link:
        parts += ["", f"{'See and answer it' if message.urgent else 'See it'}: {message.link}"]
    parts += [
        "",
        "-- ",
        "A mail from Answerable. Nobody reads what is sent back to it, and nothing that you send answers anything:",
        "who answers signs in at the address above.",
    ]
    return "\n".join(parts) + "\n"
