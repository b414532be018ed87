"""What an agent chose stands in a mail as text: it is no header, no other receiver, and shows what it is."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default

import pytest

from answerable.adapters.smtp.mail import mail_of
from answerable.core.approval.message import Message

pytestmark = pytest.mark.requirement("CHANNEL-05")

HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "x-auto-response-suppress",
    "list-id",
    "content-type",
    "content-transfer-encoding",
    "mime-version",
}


def _mail(sentence: str) -> tuple[bytes, set[str], str]:
    message = Message(
        id="a.asked", kind="asked", thread="a", title="An action waits", sentence=sentence, until=1
    )
    sent = bytes(
        mail_of(message, "bob@corp.test", sender="answerable@corp.test", name="<a@b>", follows="", now=0)
    )
    read = message_from_bytes(sent, policy=default)
    return sent, {name.lower() for name in read}, str(read["Subject"])


@pytest.mark.parametrize(
    "word",
    [
        "=?utf-8?q?x=0ABcc:_evil@evil.test?=",
        "=?utf-8?q?x=0D=0ABcc:_evil@evil.test?=",
        "=?us-ascii?b?eApCY2M6IGV2aWxAZXZpbC50ZXN0?=",
        "=?utf-8?q?x=0A=0AGo_to_https://evil.test?=",
        "==?utf-8?q?x=0ABcc:_e@evil.test?=",
    ],
)
def test_an_encoded_word_of_an_agent_becomes_no_header_and_no_text_of_ours(word: str):
    sent, headers, subject = _mail(f"Pay EUR 1.00 to {word} now")
    assert headers == HEADERS
    assert "\n" not in subject
    assert b"\nBcc" not in sent
    assert b"\nGo to https://evil.test" not in sent


def test_an_encoded_word_hides_neither_links_nor_marks_of_direction():
    _, headers, subject = _mail("Pay to =?utf-8?q?evil=2Eexample_=E2=80=AEcba?= or zoë")
    assert headers == HEADERS
    assert "evil.example" not in subject
    assert "\u202e" not in subject
    assert "zoë" in subject, "text of other languages is read as ever"
