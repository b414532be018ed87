"""Mail to approvers, through a mail server of others on loopback."""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from dataclasses import replace

import anyio
import pytest

from answerable.core.approval.message import Message
from answerable.testing.clock import START
from tests.worlds.channel import MailBox, mail_server, reach_bench, smtp_channel, trusted
from tests.worlds.federation import Authority, context_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("CHANNEL-07")]

MESSAGE = Message(
    id="a-1.asked",
    kind="asked",
    thread="a-1",
    title="An action waits for your answer",
    sentence='Pay: Case "4711", to "https://evil.example" (refund on crm)',
    badges=("production", "high risk"),
    lines=(("by", "scout"),),
    link="https://us.example/approvals/a-1",
    until=START + 900_000,
    at=START,
    urgent=True,
)
SECRET = "correct horse battery"


def read(mail: bytes):
    return email.message_from_bytes(mail, policy=email.policy.SMTP)


async def sent(channel, message=MESSAGE, address="bob@example.com", handle=""):
    with anyio.fail_after(120):
        return await channel.send(message, address, handle=handle, now=START)


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_mail_goes_out_over_tls_after_signing_in(tmp_path, implicit):
    authority, box = Authority(), MailBox(user="answerable", password=SECRET)
    async with mail_server(box, context_of(authority.leaf("127.0.0.1"), tmp_path), implicit=implicit) as port:
        channel = smtp_channel(
            port,
            trusted(authority),
            user="answerable",
            password=SECRET,
            tls="tls" if implicit else "starttls",
        )
        assert SECRET not in repr(channel._server)
        result = await sent(channel)
    assert (result.state, box.in_tls, box.signed_in) == ("taken", [True], ["answerable"])
    assert box.envelopes == [("answerable@example.com", ["bob@example.com"])]
    mail = read(box.mails[0])
    assert mail["to"] == "bob@example.com"
    assert mail["message-id"] == result.handle
    assert mail["auto-submitted"] == "auto-generated"
    assert mail["list-id"]
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content()
    assert "https://us.example/approvals/a-1" in text
    assert "evil.example" not in text
    assert "evil.example" not in mail["subject"]
    assert "11:21 UTC, 15 min left" in text


async def test_a_server_whose_certificate_does_not_count_gets_nothing(tmp_path):
    box = MailBox(user="answerable", password=SECRET)
    for names, believed in ((("127.0.0.1",), Authority()), (("mail.example",), None)):
        authority = Authority()
        async with mail_server(box, context_of(authority.leaf(*names), tmp_path)) as port:
            channel = smtp_channel(port, trusted(believed or authority), user="answerable", password=SECRET)
            result = await sent(channel)
        assert result.state == "down"
        assert "certificate" in result.why
    assert not box.mails
    assert not box.signed_in


async def test_a_server_that_stops_offering_tls_gets_nothing():
    box = MailBox(user="answerable", password=SECRET)
    async with mail_server(box, None, offers_tls=False) as port:
        result = await sent(smtp_channel(port, trusted(Authority()), user="answerable", password=SECRET))
    assert result.state == "down"
    assert "does not offer STARTTLS" in result.why
    assert "channels.email_tls" in result.why
    assert not box.mails
    assert not box.signed_in


async def test_a_sign_in_that_is_refused_is_the_channels_fault_and_names_no_secret(tmp_path):
    authority, box = Authority(), MailBox(user="answerable", password="another")
    async with mail_server(box, context_of(authority.leaf("127.0.0.1"), tmp_path)) as port:
        result = await sent(smtp_channel(port, trusted(authority), user="answerable", password=SECRET))
    assert (result.state, result.why) == ("down", "the server refused the sign-in with code 535")


@pytest.mark.parametrize(
    ("rcpt", "state"),
    [
        ("450 4.2.0 greylisted: bob@example.com", "later"),
        ("451 try again", "later"),
        ("550 5.1.1 no such bob@example.com", "never"),
        ("552 full", "never"),
    ],
)
async def test_what_the_server_says_of_an_address_is_for_that_address_and_not_passed_on(rcpt, state):
    box = MailBox()
    box.rcpt = [rcpt]
    async with mail_server(box, None) as port:
        result = await sent(smtp_channel(port, None))
        assert result.state == state
        assert "bob" not in result.why
        assert rcpt[:3] in result.why
        assert (await sent(smtp_channel(port, None))).state == "taken"


@pytest.mark.parametrize(("answer", "state"), [("451 busy", "later"), ("554 spam", "never")])
async def test_a_mail_that_is_refused_after_it_was_sent_is_told_apart(answer, state):
    box = MailBox()
    box.data = [answer]
    async with mail_server(box, None) as port:
        assert (await sent(smtp_channel(port, None))).state == state


def talker(*lines: bytes, close: bool = False):
    """The port of a server that says these lines, one for each that it hears, and then nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk() -> None:
        with listener, listener.accept()[0] as connection:
            connection.settimeout(60)
            for line in lines:
                connection.sendall(line)
                connection.recv(4_096)
            if not close:
                while connection.recv(4_096):
                    continue

    threading.Thread(target=talk, daemon=True).start()
    return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("lines", "close"),
    [
        ((), True),
        ((b"220 hello\r\n",), True),
        ((b"220 hello\r\n", b"250 mail\r\n", b"250 ok\r\n", b"250 ok\r\n"), True),
        ((b"554 go away\r\n",), True),
        ((b"HTTP/1.1 200 OK\r\n\r\n",), True),
        ((b"220 " + b"x" * 100_000 + b"\r\n",), True),
        ((b"220-more\r\n" * 20_000,), True),
        ((b"\xff\xfe\x00\r\n",), True),
    ],
)
async def test_a_server_that_breaks_off_or_talks_nonsense_is_down(lines, close):
    result = await sent(smtp_channel(talker(*lines, close=close), None))
    assert result.state == "down"
    assert result.why


async def test_a_server_that_says_nothing_is_left_in_time():
    result = await sent(smtp_channel(talker(), None, answer_seconds_max=0.05))
    assert result.state == "down"
    assert "in time" in result.why


async def test_a_server_that_is_not_there_is_down():
    # Nobody but root can listen there, and nobody does.
    assert (await sent(smtp_channel(1, None))).state == "down"


async def test_no_text_of_others_becomes_a_header_or_another_receiver():
    evil = "x\\u{d}\\u{a}Bcc: mallory@example.com\\u{d}\\u{a}.\\u{d}\\u{a}MAIL FROM"
    box = MailBox()
    async with mail_server(box, None) as port:
        channel = smtp_channel(port, None)
        message = replace(MESSAGE, sentence=evil * 10, badges=(evil,), lines=((evil, evil),), id="a/../<x>")
        assert (await sent(channel, message)).state == "taken"
        assert (await sent(channel, replace(MESSAGE, sentence="."))).state == "taken"
    assert [to for _, to in box.envelopes] == [["bob@example.com"]] * 2
    mail = read(box.mails[0])
    assert mail["bcc"] is None
    assert sorted(mail.keys()) == sorted(read(box.mails[1]).keys())
    assert len(mail["subject"]) <= 170
    assert "\n.\n" in read(box.mails[1]).get_content().replace("\r", "")


async def test_a_raw_line_break_that_got_this_far_fails_instead_of_becoming_a_header():
    message = replace(MESSAGE, title="x\r\nBcc: mallory@example.com")
    box = MailBox()
    async with mail_server(box, None) as port:
        with pytest.raises(ValueError, match="linefeed"):
            await sent(smtp_channel(port, None), message)
    assert not box.mails


async def test_all_mails_about_one_approval_are_one_thread():
    box = MailBox()
    async with mail_server(box, None) as port:
        reach = await reach_bench(channels={"email": smtp_channel(port, None)})
        answer = await reach.bench.refund(6_000)
        with anyio.fail_after(120):
            await reach.tell()
            await reach.bench.answer(answer.approval)
            await reach.tell()
    mails = [read(one) for one in box.mails]
    asked = {one["to"]: one for one in mails[:2]}
    assert set(asked) == {"bob@example.com", "carol@example.com"}
    for ended in mails[2:]:
        assert ended["in-reply-to"] == ended["references"] == asked[ended["to"]]["message-id"]
        assert ended["message-id"] != asked[ended["to"]]["message-id"]
        assert "approved by: bob" in ended.get_content()
