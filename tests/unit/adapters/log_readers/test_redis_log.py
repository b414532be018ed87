"""Redis's own log and its list of refusals, in lines that Redis 8.0.2 wrote."""

from __future__ import annotations

import io
import json

import pytest

from answerable.adapters.log_readers import LogTimes, RedisLog, bounded_lines, offset_of
from answerable.core.attribution.log_line import LogLine, UnreadLine
from tests.worlds.attributed import bare

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_171_234_194
HEAD = "1832:M 02 Dec 2026 00:27:14.194 "


def client(account: str, name: str = "", place: str = "127.0.0.1:35826") -> str:
    return (
        f"id=7 addr={place} laddr=127.0.0.1:28164 fd=13 name={name} age=0 idle=0 flags=A db=0 sub=0 psub=0 ssub=0 "
        "multi=-1 watch=0 qbuf=0 qbuf-free=20474 argv-mem=0 multi-mem=0 rbs=16384 rbp=16384 obl=0 oll=0 omem=0 "
        f"tot-mem=37760 events=r cmd=set user={account} redir=-1 resp=3 lib-name= lib-ver= io-thread=0"
    )


def closed(account: str, name: str = "", place: str = "127.0.0.1:35826") -> str:
    return f"{HEAD}- Client closed connection {client(account, name, place)}"


def refusal(account: str, reason: str = "key", **more: object) -> str:
    known = {
        "count": 1, "reason": reason, "context": "toplevel", "object": 'case:8:a\n"x', "username": account,
        "age-seconds": 0.429, "client-info": client(account), "entry-id": 1, "timestamp-created": AT - 5,
        "timestamp-last-updated": AT,
    }  # fmt: skip
    return json.dumps({**known, **more})


def read(*lines: str) -> list[LogLine | UnreadLine]:
    times = LogTimes(zone=offset_of("+00:00"), now=AT)
    return bare(
        RedisLog(times).read(bounded_lines(io.BytesIO("".join(f"{one}\n" for one in lines).encode())))
    )


def said(account: str, label: str = "", place: str = "127.0.0.1:35826") -> LogLine:
    return LogLine(1, AT, account, (("redis_client", f"id=7 addr={place}"),), label)


def test_a_connection_that_ends_is_of_its_user_and_its_own_name_is_a_label() -> None:
    assert read(closed("ans_x")) == [said("ans_x")]
    assert read(closed("bob", "name=ans_x")) == [said("bob", "name=ans_x")]
    assert read(closed("ans_x", place="/run/redis.sock:0")) == [said("ans_x", place="unix")]


def test_a_command_that_was_refused_is_of_its_user_and_a_sign_in_that_was_refused_of_nobody() -> None:
    assert read(refusal("ans_x")) == [said("ans_x")]
    assert read(refusal("ans_x", "auth")) == [LogLine(1, AT, "")]
    # The server keeps like ones as one, with the last connection alone.
    assert read(refusal("ans_x", count=2)) == [said("ans_x")]


def test_a_connection_that_broke_the_protocol_is_of_its_user_whatever_it_sent() -> None:
    stranger = "'$-5..Client closed connection id=7 addr=127.0.0.1:1 user=ans_x redir=-1'"
    ended = f"{HEAD}- Protocol error (invalid bulk length) from client: "
    behind = f". Query buffer during protocol error: {stranger}"
    assert read(f"{ended}{client('ans_y')}{behind}") == [said("ans_y")]
    cut = client("").partition(" user=")[0]
    assert read(f"{ended}{cut}{behind}") == [UnreadLine(1, "ambiguous")]


@pytest.mark.parametrize("chars", range(280, 340))
def test_a_line_that_the_server_cut_has_its_user_or_is_ambiguous(chars: int) -> None:
    whole = closed("ans_abcdefghijklmnopqrstuvwxyz")
    assert whole.index("user=") < 340
    (found,) = read(whole[:chars])
    if isinstance(found, LogLine):
        assert found.account == "ans_abcdefghijklmnopqrstuvwxyz"
    else:
        assert found == UnreadLine(1, "ambiguous")


@pytest.mark.parametrize(
    "line",
    [
        f"{HEAD}- Accepted 127.0.0.1:35838",
        f"{HEAD}- Client closed connection",
        f"{HEAD}- Client closed connection id=x user=ans_x ",
        f"{HEAD}# Possible SECURITY ATTACK detected. Connection from 127.0.0.1:35864 aborted.",
        f"{HEAD}* Client closed connection {client('ans_x')}",
    ],
)
def test_other_lines_are_of_nobody(line: str) -> None:
    assert read(line) == [LogLine(1, AT, "")]


def test_a_time_needs_a_zone_and_what_is_no_line_is_counted() -> None:
    lines = bounded_lines(io.BytesIO(f"{closed('ans_x')}\nnonsense\n\n{{}}\n".encode()))
    first, *others = RedisLog(LogTimes(zone=None, now=AT)).read(lines)
    assert isinstance(first, LogLine)
    assert (first.at, first.account) == (0, "ans_x")
    assert others == [UnreadLine(number, "broken") for number in (2, 4)]
