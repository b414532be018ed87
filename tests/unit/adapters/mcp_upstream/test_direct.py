from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio.lowlevel
import pytest
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from answerable.adapters.mcp_upstream.direct import FIRST_ID, Envelope, decoded
from answerable.adapters.mcp_upstream.live import NotSentError, TimedOutError
from answerable.adapters.mcp_upstream.marks import mark_of
from answerable.adapters.mcp_upstream.stdio_direct import StdioDirect

pytestmark = pytest.mark.anyio
MODERN, LEGACY = "2026-07-28", "2025-11-25"
OURS = {"answerable/action": "a-1"}
RESULT: dict[str, Any] = {"content": [{"type": "text", "text": "ok"}], "resultType": "complete"}


def answer(number: object, result: object = RESULT) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()


def test_a_modern_request_says_what_its_revision_wants_and_nothing_of_ours_can_change_that():
    meta = {**OURS, "io.modelcontextprotocol/protocolVersion": "1900-01-01"}
    sent = json.loads(Envelope(MODERN).request(7, "tools/call", {"name": "a", "_meta": meta}))
    assert (sent["jsonrpc"], sent["id"], sent["method"], sent["params"]["name"]) == (
        "2.0",
        7,
        "tools/call",
        "a",
    )
    assert sent["params"]["_meta"] == {
        **OURS,
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "answerable", "version": "0.1.0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }


def test_a_request_of_the_session_based_era_is_sent_as_it_is():
    params = {"name": "a", "_meta": OURS}
    assert json.loads(Envelope(LEGACY).request(7, "tools/call", params))["params"] == params


def test_an_error_is_raised_as_it_came():
    error = {"code": -32603, "message": "the disk is full", "data": {"why": 1}}
    with pytest.raises(MCPError) as raised:
        Envelope(MODERN).result("tools/call", {"jsonrpc": "2.0", "id": 1, "error": error})
    assert (raised.value.code, raised.value.message, raised.value.data) == (
        -32603,
        "the disk is full",
        {"why": 1},
    )


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        7,
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": 7},
        {"jsonrpc": "1.0", "id": 1, "result": RESULT},
        {"jsonrpc": "2.0", "id": 1, "error": "no"},
        {"jsonrpc": "2.0", "id": 1, "result": RESULT, "error": None},
    ],
)
def test_what_is_no_answer_leaves_open_what_happened(message):
    with pytest.raises(MCPError) as raised:
        Envelope(MODERN).result("tools/call", message)
    assert mark_of(raised.value.data) == "unknown"


def test_a_result_that_the_protocol_does_not_know_is_refused_and_an_older_one_loses_later_members():
    with pytest.raises(ValidationError):
        Envelope(MODERN).result("tools/call", {"jsonrpc": "2.0", "id": 1, "result": {"content": "no list"}})
    more = {**RESULT, "ttlMs": 5, "kept": None}
    got = Envelope(LEGACY).result("tools/call", {"jsonrpc": "2.0", "id": 1, "result": more})
    assert got == {"content": RESULT["content"], "kept": None}


def test_text_that_no_strict_reader_takes_is_left_to_the_lenient_one():
    for text in (b'{"a": NaN}', b'{"a": 1e400}', b'"\\ud800"', b"\xff", b"[" * 100_000, b"hello"):
        assert decoded(text) is None


async def asked(direct: StdioDirect, into: list[Any], seconds: float = 5.0) -> None:
    try:
        into.append(await direct.ask("tools/call", {"name": "a"}, seconds=seconds))
    except Exception as fault:
        into.append(fault)


async def test_answers_reach_whom_they_belong_to_in_any_order_and_requests_of_one_turn_go_out_together():
    direct, written = StdioDirect().speaking(MODERN), list[bytes]()
    direct.write_with(written.append)
    got: list[list[Any]] = [[], [], []]
    async with anyio.create_task_group() as tasks:
        for into in got:
            tasks.start_soon(asked, direct, into)
        while not written:
            await anyio.lowlevel.checkpoint()
        (text,) = written
        sent = [json.loads(line)["id"] for line in text.splitlines()]
        assert sent == [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2]
        for number in (sent[2], str(sent[0]), sent[1]):
            assert direct.took(answer(number, {**RESULT, "structuredContent": {"n": str(number)}}))
    assert [into[0]["structuredContent"]["n"] for into in got] == [str(number) for number in sent]


async def test_messages_of_the_session_are_left_to_it():
    direct = StdioDirect().speaking(MODERN)
    request = json.dumps({"jsonrpc": "2.0", "id": FIRST_ID, "method": "ping"}).encode()
    for line in (answer(0), answer("listen-1"), answer(None), answer(True), request, b"hello", b"[1]"):
        assert not direct.took(line), line


async def test_whoever_leaves_or_waits_too_long_tells_the_server_and_a_late_answer_goes_nowhere():
    direct, written = StdioDirect().speaking(MODERN), list[bytes]()
    direct.write_with(written.append)
    got: list[Any] = []
    await asked(direct, got, seconds=0.01)
    assert isinstance(got[0], TimedOutError)
    with anyio.move_on_after(0.01):
        await direct.ask("tools/call", {"name": "a"}, seconds=5.0)
    await anyio.lowlevel.checkpoint()
    lines = [json.loads(line) for line in b"".join(written).splitlines()]
    assert [line["method"] for line in lines] == ["tools/call", "notifications/cancelled"] * 2
    assert [line["params"]["requestId"] for line in lines[1::2]] == [FIRST_ID, FIRST_ID + 1]
    assert direct.took(answer(FIRST_ID))
    assert direct.took(answer(FIRST_ID + 1))


async def test_when_the_process_is_gone_who_waits_is_told_and_nobody_asks_it_again():
    direct = StdioDirect().speaking(MODERN)
    got: list[Any] = []
    waiting = asyncio.create_task(asked(direct, got))
    await anyio.lowlevel.checkpoint()
    direct.close(MCPError(-32000, "Connection closed"))
    await waiting
    assert isinstance(got[0], MCPError)
    with pytest.raises(NotSentError):
        await direct.ask("tools/call", {"name": "a"}, seconds=1.0)
