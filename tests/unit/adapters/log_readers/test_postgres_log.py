"""PostgreSQL's log in its three forms, whatever clients write into it."""

from __future__ import annotations

import io
import json
from datetime import timedelta, timezone

import pytest

from answerable.adapters.log_readers import LinePrefix, LogTimes, PostgresLog, bounded_lines
from answerable.adapters.log_readers.bounded_lines import LINE_BYTES_MAX
from answerable.core.attribution.log_line import LogLine, UnreadLine
from answerable.errors import Malformed
from tests.worlds.attributed import bare

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

NOW = 1_796_000_000_000
AT = 1_796_150_148_123
TIME = "2026-12-01 18:35:48.123 UTC"
SESSION = "656f0000.1f"
PREFIX = "%m|%c|%u|%a| "


def read(text: str, prefix: str = "") -> list[LogLine | UnreadLine]:
    reader = PostgresLog(LogTimes(zone=None, now=NOW), LinePrefix(prefix) if prefix else None)
    return bare(reader.read(bounded_lines(io.BytesIO(text.encode()))))


def said(account: str, label: str = "", number: int = 1, *, is_full: bool = False) -> LogLine:
    return LogLine(number, AT, account, (("pg_session", SESSION),), label, "", is_full)


def in_text(user: str, label: str, message: str = "LOG:  statement: SELECT 1") -> str:
    return f"{TIME}|{SESSION}|{user}|{label}| {message}\n"


def in_csv(
    user: str, label: str, message: str = "SELECT 1", state: str = "00000", backend: str = "client backend"
) -> str:
    quoted = [part.replace('"', '""') for part in (user, message, label)]
    return (
        f'{TIME},"{quoted[0]}","prod",12,"[local]",{SESSION},3,"SELECT",2026-12-01 18:35:48 UTC,3/4,0,LOG,{state},'
        f'"{quoted[1]}",,,,,,,,,"{quoted[2]}","{backend}",,0\n'
    )


def in_json(user: str, label: str, message: str = "SELECT 1", **more: object) -> str:
    entry = {"timestamp": TIME, "user": user, "dbname": "prod", "pid": 12, "remote_host": "[local]"}
    return (
        json.dumps({**entry, "session_id": SESSION, "message": message, "application_name": label, **more})
        + "\n"
    )


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":")) + "\n"


def test_each_form_says_time_account_session_and_label() -> None:
    assert read(in_text("ans_x", "psql 15"), PREFIX) == [said("ans_x", "psql 15")]
    assert read(in_csv("ans_x", "psql 15")) == [said("ans_x", "psql 15")]
    assert read(in_json("ans_x", "psql 15")) == [said("ans_x", "psql 15")]


def test_a_statement_of_several_lines_is_of_its_record_alone() -> None:
    inner = in_csv("ans_inner", "x").strip()
    assert read(in_csv("bob", "x", f"SELECT '\n{inner}\n'") + in_csv("eve", "y")) == [
        said("bob", "x"),
        said("eve", "y", 4),
    ]
    assert read(in_text("bob", "x") + "\t\n\tmore\n" + in_text("eve", "y"), PREFIX) == [
        said("bob", "x"),
        said("eve", "y", 4),
    ]


@pytest.mark.parametrize("quotes", [0, 1, 2, 3])
def test_a_record_of_any_length_has_its_account_and_session_and_is_ended_by_no_statement(quotes: int) -> None:
    inner = in_csv("ans_inner", "x").strip()
    filler = "x" * LINE_BYTES_MAX + '"' * quotes
    text = in_csv('o"brien', "lost", f"{filler}\n{inner}\n{filler}") + in_csv("eve", "y")
    assert read(text) == [said('o"brien'), said("eve", "y", 4)]
    long = in_csv("bob", "lost", "\n".join(["SELECT 1"] * 20_000)) + in_csv("eve", "y")
    assert read(long) == [said("bob"), said("eve", "y", 20_001)]
    text = compact(in_json('o"brien', "lost", filler)) + in_json("eve", "y")
    assert read(text) == [said('o"brien'), said("eve", "y", 2)]
    assert read(in_text("bob", "x", f"LOG:  {filler}") + in_text("eve", "y"), PREFIX) == [
        said("bob", "x"),
        said("eve", "y", 2),
    ]


def test_what_is_no_record_is_counted() -> None:
    broken = [UnreadLine(2, "broken")]
    assert read(in_text("bob", "x") + "nonsense\n", PREFIX)[1:] == broken
    assert read(in_csv("bob", "x") + "nonsense\n")[1:] == broken
    assert read(in_json("bob", "x") + "nonsense\n")[1:] == broken
    cut = '{"timestamp":"t","user":"\\x","session_id":"1.2"'
    assert read(in_json("bob", "x") + cut)[1:] == broken
    assert read(in_csv("bob", "x") + 'an "open quote')[1:] == broken
    assert read("") == []


def test_a_label_that_looks_like_the_rest_of_the_prefix_takes_no_account() -> None:
    (line,) = read(in_text("bob", "x| LOG:  |ans_x", "LOG:  statement"), PREFIX)
    assert isinstance(line, LogLine)
    assert (line.account, line.label) == ("bob", "")
    label_first = "%a|%u|%c|%m| "
    assert read(f"a b|bob|{SESSION}|{TIME}| LOG:  x\n", label_first) == [said("bob", "a b")]
    forged = f"x|ans_x|656f0000.2f|{TIME}| LOG:  |bob|{SESSION}|{TIME}| LOG:  x\n"
    assert read(forged, label_first) == [UnreadLine(1, "ambiguous")]


@pytest.mark.parametrize("account", ["", "svc"])
def test_a_name_of_several_lines_that_did_not_get_in_is_in_no_session_of_ours(account: str) -> None:
    name = f"x\n\n\t\n{TIME}|{SESSION}|{account}"
    told = read(in_text(name, "", "FATAL:  password authentication failed") + in_text("bob", "x"), PREFIX)
    assert told == [UnreadLine(1, "broken"), UnreadLine(4, "ambiguous"), said("bob", "x", 5)]
    # One that makes a whole line of its beginning has no room for an account behind time and session.
    (first, second) = read(in_text(f"x|| LOG:  \n{TIME}|{SESSION}|", "", "FATAL:  no"), PREFIX)
    assert (first, second) == (said("x"), LogLine(2, AT, ""))


def test_a_usual_prefix_is_read_in_one_way_also_where_names_and_statements_have_blanks() -> None:
    prefix = "%m [%c] %q%u@%d %a "
    head = f"{TIME} [{SESSION}] bob@prod my app "
    assert read(f"{head}LOG:  statement: SELECT 'a@b c '\n", prefix) == [said("bob", "my app")]
    assert read(f"{head}LOG:  statement: SELECT 'a@b c LOG:  '\n", prefix) == [said("bob")]


def test_a_process_without_a_session_and_a_name_that_is_not_known_yet_are_nobody() -> None:
    prefix = "%m %c %q%u@%d "
    assert read(f"{TIME} {SESSION} LOG:  checkpoint\n", prefix) == [LogLine(1, AT, "")]
    unknown = f"{TIME} {SESSION} [unknown]@[unknown] LOG:  connection received\n"
    assert read(unknown, prefix) == [LogLine(1, AT, "")]
    assert read(f"{TIME} {SESSION} bob@prod LOG:  x\n", prefix) == [said("bob")]


def test_a_prefix_may_have_any_escape_of_the_server() -> None:
    everything = "%t %n [%-6p] <%r %h> %b %P %i %e %c-%l %s %v %x %Q %% %u: %u %d %a "
    line = (
        "2026-12-01 18:35:48 UTC 1796150148.123 [12    ] <127.0.0.1(40) 127.0.0.1> client backend  SELECT 53300 "
        f"{SESSION}-3 2026-12-01 18:35:48 UTC 3/4 0 -77 % ans_x: ans_x prod psql FATAL:  x\n"
    )
    (found,) = read(line, everything)
    assert found == said("ans_x", "psql", is_full=True)


@pytest.mark.parametrize("prefix", ["%m [%p] ", "%u %Z ", "%c %u ", "%m %u" + "x" * 500])
def test_a_prefix_that_names_no_account_or_is_none_of_the_server_is_refused(prefix: str) -> None:
    with pytest.raises(Malformed, match="prefix"):
        LinePrefix(prefix)


def test_a_login_without_room_is_told_and_a_parallel_worker_has_no_session_of_its_own() -> None:
    full = "FATAL:  too many connections for role"
    assert read(in_text("ans_x", "", full), PREFIX) == [said("ans_x", is_full=True)]
    assert read(in_csv("ans_x", "", state="53300")) == [said("ans_x", is_full=True)]
    assert read(in_json("ans_x", "", state_code="53300")) == [said("ans_x", is_full=True)]
    worker = LogLine(1, AT, "ans_x", (), "")
    assert read(in_csv("ans_x", "", backend="parallel worker")) == [worker]
    assert read(in_json("ans_x", "", backend_type="parallel worker")) == [worker]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (TIME, AT),
        ("2026-12-01 18:35:48.123", 0),
        ("2026-12-01 18:35:48.123 CET", 0),
        ("2026-12-01 19:35:48.123 +01", AT),
        ("2026-12-01 17:05:48,123456-01:30", AT),
        ("2026-12-01 18:35:48 UTC", AT - 123),
        ("2026-13-01 18:35:48 UTC", 0),
        ("2026-12-01 18:35:48 +25", 0),
        ("2026-12-01 18:35:48.\u00b2 UTC", 0),
        ("nonsense", 0),
    ],
)
def test_a_time_is_understood_with_its_zone_or_not_at_all(text: str, at: int) -> None:
    assert LogTimes(zone=None, now=NOW).stamped(text) == at


def test_a_zone_that_is_given_is_of_times_that_name_none_that_is_known() -> None:
    times = LogTimes(zone=timezone(timedelta(hours=1)), now=AT)
    for text in ("2026-12-01 19:35:48.123", "2026-12-01 19:35:48.123 CET"):
        assert times.stamped(text) == AT
    assert times.stamped(TIME) == AT
    assert times.without_year("Dec  1 19:35:48") == AT - 123
    assert times.without_year("Dec 31 19:35:48") < AT
    assert times.without_year("Nonsense") == 0
    assert LogTimes(zone=None, now=AT).without_year("Dec  1 19:35:48") == 0
    for second in range(5_000):
        assert times.stamped(f"2026-12-01 {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02} UTC")
