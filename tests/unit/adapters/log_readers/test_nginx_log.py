"""nginx's access log, in lines that nginx 1.26.3 wrote."""

from __future__ import annotations

import io
import json

import pytest

from answerable.adapters.log_readers import LogTimes, NginxLog, bounded_lines
from answerable.core.attribution.log_line import LogLine, UnreadLine

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_171_234_000
ACTION = f"{7:032x}"
ID = "b8f8a4a2f0c1de0c1b1b1f4bb9c0de01"


def in_json(agent: str = f"answerable/{ACTION}", user: str = "", status: str = "200", **more: str) -> str:
    known = {"msec": "1796171234.000", "request_id": ID, "user": user, "status": status}
    return json.dumps({**known, **more, "agent": agent}, separators=(",", ":"))


def combined(agent: str = f"answerable/{ACTION}", user: str = "-", status: str = "200") -> str:
    asked = r'"GET /cases/7?q=\x22a HTTP/1.1"'
    return f'127.0.0.1 - {user} [02/Dec/2026:01:27:14 +0100] {asked} {status} 5 "-" "{agent}"'


def read(*lines: str) -> list[LogLine | UnreadLine]:
    text = "".join(f"{one}\n" for one in lines)
    return [*NginxLog(LogTimes(zone=None, now=AT)).read(bounded_lines(io.BytesIO(text.encode())))]


def line(label: str = ACTION, login: str = "", keys: tuple[tuple[str, str], ...] = ()) -> LogLine:
    return LogLine(1, AT, "", keys, label, login)


def test_a_request_has_the_id_that_nginx_gave_it_and_the_label_of_its_user_agent() -> None:
    keys = (("http_x_request_id", ID),)
    assert read(in_json()) == [line(keys=keys)]
    assert read(in_json(user="crm-bot", request_time="0.001")) == [line(login="crm-bot", keys=keys)]
    assert read(in_json(request_id="")) == [line()]
    assert read(combined()) == [line()]
    assert read(combined(user="crm-bot")) == [line(login="crm-bot")]


@pytest.mark.parametrize(
    "agent", ["curl/8", f"x answerable/{ACTION}", f"answerable/{ACTION} x", "answerable/7", "-"]
)
def test_only_the_user_agent_of_the_broker_is_a_label(agent: str) -> None:
    for made in (in_json, combined):
        (found,) = read(made(agent))
        assert isinstance(found, LogLine)
        assert found.label == ""


def test_a_user_whom_the_server_refused_is_nobody() -> None:
    for made in (in_json, combined):
        (found,) = read(made(user="crm-bot", status="401"))
        assert isinstance(found, LogLine)
        assert (found.login, found.label) == ("", ACTION)


@pytest.mark.parametrize(
    "user", ["a b", r"x [02/Dec/2026:09:00:00 +0000] \x22GET / HTTP/1.1\x22 200 5 \x22-\x22", "]"]
)
def test_a_user_name_ends_neither_itself_nor_the_line(user: str) -> None:
    assert read(combined(user=user)) == [line(login=user)]


def test_of_a_line_that_is_too_long_id_and_user_are_read_or_it_is_ambiguous() -> None:
    long = "x" * 70_000
    keys = (("http_x_request_id", ID),)
    assert read(in_json(long, user='a","agent":"')) == [line("", 'a","agent":"', keys)]
    assert read(combined(long, user="crm-bot")) == [UnreadLine(1, "ambiguous")]
    assert read(long, "{" + long) == [UnreadLine(1, "broken"), UnreadLine(2, "broken")]


def test_what_is_no_line_is_counted() -> None:
    assert read("nonsense", "", '{"msec": 1}', '{"msec": "x"}') == [
        UnreadLine(1, "broken"), UnreadLine(2, "broken"), UnreadLine(3, "broken"), LogLine(4, 0, ""),
    ]  # fmt: skip
