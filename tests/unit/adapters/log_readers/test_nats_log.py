"""The log of a NATS server and its events of connections, in lines that NATS 2.10.27 wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from answerable.adapters.log_readers import BoundedLine, LogTimes, NatsLog, bounded_lines, offset_of
from answerable.adapters.log_readers import nats as module
from answerable.core.attribution.log_line import LogLine, UnreadLine

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_171_236_829
HEAD = "[1921] 2026/12/02 00:27:16.829487 [DBG] "
SERVER = "NAT5465QJUUOYQVD4SDCCIEK3HILJY3QWIRSAQNYUW2FULNKTHNBSEKZ"
USER = "UDQJY5CMX2HPIIYJQS7ZR6BWC6H4WUQVOHIO4NN44YVAALVMKXYTLNPS"
ACCOUNT = "ACLKTBF35M7P3RRBA2YTFUN5GA3HW5BQ3S4EDQCTDWVHQCURYARPHB3Z"
ID = f"[1921] 2026/12/02 00:27:16.829487 [INF]   ID:       {SERVER}"
KEYS = (("nats_client", f"server={SERVER} cid=8"),)
NOBODY = LogLine(1, AT, "")


def said(what: str, number: int = 8) -> str:
    return f"{HEAD}127.0.0.1:33612 - cid:{number} - {what}"


def authenticated(name: str, number: int = 8) -> str:
    what = (
        f'Authenticated JWT: Client "{USER}" (claim-name: "{name}", claim-tags: []) signed with "{ACCOUNT}"'
    )
    behind = f' by Account "{ACCOUNT}" (claim-name: "cases", claim-tags: []) signed with "OD"'
    return said(f"{what}{behind} has mappings false accused 0xc00021af08", number)


def event(name: str, what: str = "connect", **more: object) -> str:
    client = {
        "start": "2026-12-02T00:27:16.828084247Z",
        "host": "127.0.0.1",
        "id": 8,
        "acc": ACCOUNT,
        "user": USER,
    }
    found = {
        "type": f"io.nats.server.advisory.v1.client_{what}", "id": "dz0553dC3OseMUv20KmK56",
        "timestamp": "2026-12-02T00:27:16.829495642Z", "server": {"name": "n1", "id": SERVER, "ver": "2.10.27"},
        "client": {**client, "name": "my app", "lang": "python3", **({"name_tag": name} if name else {})},
    }  # fmt: skip
    return json.dumps({**found, **more})


def read(*lines: str) -> list[LogLine | UnreadLine]:
    return [*NatsLog(LogTimes(zone=offset_of("+00:00"), now=AT)).read(of(*lines))]


def of(*lines: str) -> Iterator[BoundedLine]:
    return bounded_lines(io.BytesIO("".join(f"{one}\n" for one in lines).encode()))


def line(number: int, account: str, keys: tuple[tuple[str, str], ...] = KEYS) -> LogLine:
    return LogLine(number, AT, account, keys)


def test_a_connection_is_of_the_user_whose_token_was_verified_until_it_closes() -> None:
    closed = said("Client connection closed: Client Closed")
    assert read(ID, said("Client connection created"), authenticated("ans_x"), closed, closed)[1:] == [
        LogLine(2, AT, ""), line(3, "ans_x"), line(4, "ans_x"), LogLine(5, AT, ""),
    ]  # fmt: skip
    violation = said(f'Publish Violation - JWT User "{USER}", Subject "case.8.a"')
    named = said(f'"v2.16.0:python3:{authenticated("ans_y")[:40]}" - Publish Violation')
    assert read(ID, authenticated("ans_x"), violation, named)[2:] == [line(3, "ans_x"), line(4, "ans_x")]


def test_a_refused_connection_is_nobodys_and_so_is_one_that_reuses_a_number() -> None:
    assert read(ID, said("User authentication revoked"), said("authentication error"))[1:] == [
        LogLine(2, AT, ""), LogLine(3, AT, ""),
    ]  # fmt: skip
    again = said("Client connection created"), said("authentication error")
    assert read(ID, authenticated("ans_x"), *again)[2:] == [LogLine(3, AT, ""), LogLine(4, AT, "")]
    assert read(ID, authenticated("ans_x"), ID, said("x"))[3:] == [LogLine(4, AT, "")]


def test_a_rotated_log_goes_on_where_the_one_before_ended_and_has_no_session_without_it() -> None:
    closed = said("Client connection closed: Client Closed")
    reader = NatsLog(LogTimes(zone=offset_of("+00:00"), now=AT))
    assert [*reader.read(of(ID, authenticated("ans_x")))][1] == line(2, "ans_x")
    assert [*reader.read(of(closed))] == [line(1, "ans_x")]
    assert read(authenticated("ans_x")) == [line(1, "ans_x", ())]


def test_an_event_names_user_and_connection_and_what_the_client_calls_itself() -> None:
    ours = LogLine(1, AT, "ans_x", KEYS, "my app")
    assert read(event("ans_x")) == [ours]
    assert read(event("ans_x", "disconnect", reason="Client Closed")) == [ours]
    assert read(event("")) == [LogLine(1, AT, USER, KEYS, "my app")]
    assert read(event("ans_x", "disconnect", reason="Authentication Failure")) == [NOBODY]
    assert read(event("ans_x", "other")) == [NOBODY]


def test_what_is_no_line_is_counted_and_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("nonsense", "", "{}") == [UnreadLine(number, "broken") for number in (1, 3)]
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 2)
    begun = [authenticated("ans_x", number=number) for number in (1, 2, 3)]
    first, last = read(*begun, said("x", 1), said("x", 3))[3:]
    assert first == LogLine(4, AT, "")
    assert isinstance(last, LogLine)
    assert last.account == "ans_x"
