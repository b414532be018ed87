from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.core.approval.message import (
    SENTENCE_CHARS_MAX,
    Message,
    asked_message,
    cut_texts,
    digest_message,
    ended_message,
    left,
    message_in,
    message_text,
    notice_message,
    trial_message,
    unlinked,
)
from answerable.core.approval.notice import Notice
from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed
from answerable.testing.builders import Bench
from answerable.testing.clock import START

pytestmark = pytest.mark.anyio


async def waiting(**changes):
    bench = Bench()
    await bench.registered()
    await bench.issue()
    answer = await bench.refund(6_000)
    return bench, replace(answer.approval, **changes)


async def test_what_others_chose_is_visible_on_one_line_and_cut():
    evil = "Pay \u202e4711\r\nBcc: everybody" + "x" * 10_000
    _, approval = await waiting(card=freeze({"sentence": evil, "badges": [evil] * 50}))
    message = asked_message(approval, link="https://us.example/approvals/1", now=START)
    assert len(message.sentence) == SENTENCE_CHARS_MAX
    assert message.sentence.endswith("…")
    assert len(message.badges) == 8
    for text in (message.sentence, *message.badges):
        assert text.isprintable()
        assert "\\u{d}\\u{a}Bcc" in text


@pytest.mark.parametrize("card", [{}, [], {"sentence": "x"}, {"sentence": 1, "badges": []}])
async def test_an_approval_without_a_card_gives_no_message(card):
    _, approval = await waiting(card=freeze(card))
    with pytest.raises(Malformed):
        asked_message(approval, link="", now=START)
    with pytest.raises(Malformed):
        ended_message(approval, link="", now=START, name_answerers=True)


async def test_what_came_of_it_names_only_those_who_said_so():
    bench, approval = await waiting()
    denied = await bench.answer(approval, verdict="deny")
    message = ended_message(denied, link="", now=bench.clock.now(), name_answerers=True)
    assert message.title == "Denied"
    assert message.lines[-1] == ("denied by", "bob")
    hidden = ended_message(denied, link="", now=bench.clock.now(), name_answerers=False)
    assert all("bob" not in text for _, text in hidden.lines)
    many = replace(denied, answers=tuple(replace(denied.answers[0], by=f"p{n}") for n in range(7)))
    assert ended_message(many, link="", now=START, name_answerers=True).lines[-1][1].endswith("p4 and 2 more")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"state": "used"}, "Approved"),
        ({"state": "void"}, "Void, as it is not any more what was shown"),
        ({"expires_at": START}, "Ran out of time, so nothing was done"),
        ({"state": "denied", "ended_by": "h-1"}, "Denied"),
    ],
)
async def test_each_end_has_its_words(changes, title):
    _, approval = await waiting(**changes)
    message = ended_message(approval, link="", now=START, name_answerers=True, to_requester=True)
    assert message.title == f"Of your task: {title}"
    assert message.id.endswith(".result")
    assert (("denied by", "a hold") in message.lines) == ("ended_by" in changes)


async def test_a_message_is_read_back_as_it_was_written():
    _, approval = await waiting()
    for message in (
        asked_message(approval, link="https://us.example/a", now=START),
        digest_message(1, identity="d", link="", now=START),
        trial_message("t", channel="email", link="", now=START),
        notice_message(
            Notice(
                group="ops",
                agent=AgentId("scout"),
                mandate=MandateId("m"),
                capability="crm.refund",
                action_id="a",
                intent=3,
                at=START,
            ),
            now=START,
        ),
    ):
        assert message_in(message_text(message)) == message


@pytest.mark.parametrize("text", ["[]", "{}", '{"lines":[["one"]]}', "nonsense"])
def test_what_is_no_message_is_not_read(text):
    with pytest.raises(Malformed):
        message_in(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example/x", "https[://]evil[.]example/x"),
        ("bob@partner.example", "bob@partner[.]example"),
        ("аррӏе.com", "аррӏе[.]com"),
        ("1。com", "1[。]com"),
        ("EUR 5,000.00, 3.5 %", "EUR 5,000.00, 3.5 %"),
        ("Done. Next one", "Done. Next one"),
    ],
)
def test_no_program_makes_a_link_of_what_others_chose(text, shown):
    assert unlinked(text) == shown


def test_what_is_left_is_said_in_hours_and_minutes():
    message = Message(id="1", kind="asked", thread="1", title="", sentence="", until=10_000_000)
    assert left(message, 10_000_000 - 7_500_000) == "2 h 5 min left"
    assert left(message, 10_000_000 - 120_000) == "2 min left"
    assert left(message, 10_000_000) == left(message, 99_000_000) == "less than a minute left"
    assert left(replace(message, until=0), 5) == ""
    assert cut_texts(["ab", "cd"], 4) == "ab …"
