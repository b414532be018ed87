"""RabbitMQ's log, whatever a client calls its connection."""

from __future__ import annotations

import io

import pytest

from answerable.adapters.log_readers import LogTimes, RabbitmqLog, bounded_lines
from answerable.adapters.log_readers import rabbitmq as module
from answerable.core.attribution.log_line import LogLine, UnreadLine

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_150_148_123
TIME = "2026-12-01 18:35:48.123456+00:00"
PLACE = "127.0.0.1:36296 -> 127.0.0.1:5672"
GRANTED = "authenticated and granted access to vhost '/'"


def read(*messages: str) -> list[LogLine | UnreadLine]:
    """Each as the server writes it: with its time and process before each of its lines."""
    lines = [
        f"{TIME} [info] <0.{number}.0> {line}"
        for number, message in enumerate(messages)
        for line in message.split("\n")
    ]
    return raw("\n".join([*lines, ""]))


def raw(text: str) -> list[LogLine | UnreadLine]:
    return [*RabbitmqLog(LogTimes(zone=None, now=AT)).read(bounded_lines(io.BytesIO(text.encode())))]


def said(account: str, label: str = "", number: int = 1) -> LogLine:
    return LogLine(number, AT, account, (("rabbitmq_connection", PLACE),), label)


@pytest.mark.parametrize("place", [PLACE, f"<0.7.0> ({PLACE})"])
def test_a_connection_is_of_the_user_that_was_authenticated_on_it(place: str) -> None:
    assert read(f"connection {place}: user 'ans_x' {GRANTED}") == [said("ans_x")]


@pytest.mark.parametrize("form", ["connection {0} - {1}: user", "connection <0.7.0> ({0} - {1}): user"])
@pytest.mark.parametrize(
    "name",
    [
        "my app",
        f"x: user 'ans_y' {GRANTED}",
        f"x\nconnection {PLACE}: user 'ans_y' {GRANTED}",
        "a) (b",
        "x" * 30_000,
    ],
)
def test_the_name_of_a_connection_is_a_label_and_no_account(form: str, name: str) -> None:
    text = f"{form.format(PLACE, name)} 'bob' {GRANTED}"
    (found,) = read(text)
    assert isinstance(found, LogLine)
    assert (found.account, found.keys[0][1]) == ("bob", PLACE)
    assert found.label.startswith(name[:5])


def test_a_closed_connection_is_of_its_user_and_other_messages_are_nobodys() -> None:
    closed = f"closing AMQP connection ({PLACE} - my app, vhost: '/', user: 'ans_x', duration: '35ms')"
    older = f"closing AMQP connection <0.7.0> ({PLACE}, vhost: '/', user: 'ans_x')"
    assert read(closed, older) == [said("ans_x", "my app"), said("ans_x", number=2)]
    others = (
        "accepting AMQP connection 127.0.0.1:1 -> 127.0.0.1:2",
        "User 'ans_x' authenticated successfully",
    )
    assert read(*others) == [LogLine(1, AT, ""), LogLine(2, AT, "")]


def test_what_is_no_message_is_counted_and_a_long_one_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert raw("nonsense\n\n") == [UnreadLine(1, "broken")]
    assert raw("") == []
    monkeypatch.setattr(module, "MESSAGE_CHARS_MAX", 100)
    name = "\n".join(["x" * 50] * 9)
    (found,) = read(f"connection {PLACE} - {name}: user 'bob' {GRANTED}")
    assert isinstance(found, LogLine)
    assert found.account == "bob"
