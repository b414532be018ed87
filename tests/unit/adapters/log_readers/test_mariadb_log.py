"""The file of MariaDB's audit plugin, whatever clients call themselves."""

from __future__ import annotations

import io
from datetime import UTC

import pytest

from answerable.adapters.log_readers import LogTimes, MariadbLog, bounded_lines
from answerable.adapters.log_readers import mariadb as module
from answerable.adapters.log_readers.bounded_lines import LINE_BYTES_MAX
from answerable.core.attribution.log_line import LogLine, UnreadLine
from tests.worlds.attributed import bare

pytestmark = pytest.mark.requirement("ATTRIBUTE-07")

AT = 1_796_150_148_000
TIME = "20261201 18:35:48"


def record(
    account: str, operation: str = "QUERY", said: str = "'SELECT 1'", connection: int = 7, code: str = "0"
) -> str:
    return f"{TIME},db1,{account},127.0.0.1,{connection},9,{operation},shop,{said},{code}"


def read(*lines: str) -> list[LogLine | UnreadLine]:
    text = "".join(f"{one}\n" for one in lines)
    return bare(MariadbLog(LogTimes(zone=UTC, now=AT)).read(bounded_lines(io.BytesIO(text.encode()))))


def said(account: str, number: int = 1, connection: int = 7) -> LogLine:
    return LogLine(number, AT, account, (("mariadb_connection", str(connection)),))


@pytest.mark.parametrize(
    "line",
    [
        record("ans_x"),
        record("ans_x", said=r"'SELECT \'a\', 1\n20261201 18:35:48,db1,bob'"),
        record("ans_x", "CONNECT", ""),
        record("ans_x", "READ", "cases", code=""),
        record("ans_x", "PROXY_CONNECT", "'a'@'h'"),
        record("ans_x", said="'" + "x" * LINE_BYTES_MAX + "'"),
    ],
    ids=["query", "hostile query", "connect", "table", "proxy", "long"],
)
def test_a_record_names_its_account_and_connection(line: str) -> None:
    assert read(line) == [said("ans_x")]


def test_whom_the_server_let_in_on_nothing_is_nobody() -> None:
    refused = record("ans_x", "FAILED_CONNECT", "", code="1045")
    nobody = LogLine(1, AT, "")
    assert read(refused)[0] == nobody
    ended = record("ans_x", "DISCONNECT", "")
    assert read(refused, ended, ended) == [nobody, LogLine(2, AT, ""), said("ans_x", 3)]
    assert read(refused, record("ans_x", "CONNECT", ""), ended)[1:] == [said("ans_x", 2), said("ans_x", 3)]


@pytest.mark.parametrize("name", ["o,'x", "no\nbody", "a,b,c"])
def test_a_name_that_is_no_field_makes_its_record_ambiguous(name: str) -> None:
    found = read(*record(name, "FAILED_CONNECT", "", code="1045").split("\n"))
    assert found[0] == UnreadLine(1, "ambiguous")
    assert not [one for one in found if isinstance(one, LogLine)]


def test_what_is_no_record_is_counted_and_refusals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("nonsense") == [UnreadLine(1, "broken")]
    monkeypatch.setattr(module, "REFUSED_MAX", 1)
    refused = [record("ans_x", "FAILED_CONNECT", "", number, "1045") for number in (1, 2)]
    ended = [record("ans_x", "DISCONNECT", "", number) for number in (1, 2)]
    assert read(*refused, *ended)[2:] == [said("ans_x", 3, 1), LogLine(4, AT, "")]
