from __future__ import annotations

from typing import Any

import anyio
import pytest

from answerable.adapters.mcp_upstream import stdio_transport
from answerable.adapters.mcp_upstream.marks import mark_of
from answerable.adapters.mcp_upstream.stderr_log import LINE_BYTES_MAX, StderrLog
from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect
from answerable.adapters.mcp_upstream.stdio_transport import _Lines, _message
from answerable.adapters.mcp_upstream.unasked import UNASKED_BYTES_MAX


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_come_whole_however_they_were_cut(size):
    lines, found = _Lines(100), []
    stream = b"first\nsecond\n\nlast\n"
    for start in range(0, len(stream), size):
        found += lines.feed(stream[start : start + size])
    assert found == [b"first", b"second", b"", b"last"]


@pytest.mark.parametrize("size", [7, 50, 1000])
def test_a_line_past_its_bound_is_dropped_and_its_caller_is_told(size):
    lines, found = _Lines(100), []
    stream = b'{"jsonrpc":"2.0","id":7,"result":{"text":"' + b"x" * 300 + b'"}}\nnext\n'
    for start in range(0, len(stream), size):
        found += lines.feed(stream[start : start + size])
    error, line = found
    assert line == b"next"
    assert error.id == 7
    assert mark_of(error.error.data) == "unknown"


def test_a_long_line_that_answers_nobody_is_dropped_silently():
    assert _Lines(10).feed(b"x" * 300 + b"\nnext\n") == [b"next"]


def test_what_is_no_message_is_none_and_an_unreadable_answer_is_an_error():
    assert _message(b"Hello, I am starting") is None
    unreadable = _message(b'{"jsonrpc": "2.0", "id": 9, "result": 7}')
    assert unreadable is not None
    assert unreadable.id == 9
    assert mark_of(unreadable.error.data) == "unknown"


def test_standard_error_is_kept_within_bounds(tmp_path):
    log = StderrLog(tmp_path / "logs" / "crm.log", bytes_max=1000)
    for number in range(200):
        log.write(f"line {number} {'x' * 50}\n".encode())
    log.write(b"y" * 5000 + b"\n")
    assert log.tail(2)[0].startswith("line 199")
    assert len(log.tail()[-1]) == LINE_BYTES_MAX
    kept = [path.stat().st_size for path in (tmp_path / "logs").iterdir()]
    assert len(kept) == 2
    assert max(kept) <= 1000


def test_a_log_that_cannot_be_written_costs_nothing_else(tmp_path):
    (tmp_path / "file").write_text("")
    log = StderrLog(tmp_path / "file" / "below.log", bytes_max=1000)
    log.write(b"still here\n")
    assert log.tail() == ("still here",)


@pytest.mark.requirement("OPENFILES-04")
@pytest.mark.anyio
async def test_what_a_server_says_unasked_is_dropped_unread_where_it_is_long_and_answers_are_not(monkeypatch):
    read: list[bytes] = []
    monkeypatch.setattr(stdio_transport, "_message", lambda line: read.append(line))
    padding = b'"params":{"data":[' + b"1," * UNASKED_BYTES_MAX + b"1]}"
    notification = b'{"jsonrpc":"2.0",' + padding + b',"method":"notifications/message"}'
    request = b'{"jsonrpc":"2.0","id":1,' + padding + b',"method":"roots/list"}'
    answer = b'{"jsonrpc":"2.0","id":1,"result":{"method":"x","text":"' + b"x" * UNASKED_BYTES_MAX + b'"}}'
    short = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    announced: list[None] = []
    to_session, session = anyio.create_memory_object_stream[Any](0)
    reading = stdio_transport._Reading(StdioDirect(), lambda: announced.append(None))
    lines = [notification, request, answer, short]
    assert [reading.takes(line) for line in lines] == [False] * 4
    await reading.pass_on(Output(lines), to_session, lambda: None)
    session.close()
    assert read == [answer, short]
    assert len(announced) == 1


class Output:
    """The pipes of a process: lines that wait, and then the end."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines

    async def next(self) -> bytes:
        if not self._lines:
            raise anyio.EndOfStream
        return self._lines.pop(0)
