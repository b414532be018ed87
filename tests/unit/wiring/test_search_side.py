"""The server's side of the process that answers searches, with programs in its place that do not answer."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from anyio.abc import SocketStream

from answerable.adapters.search_http import client
from answerable.errors import Unavailable
from answerable.ports.search_process import SEARCH, IndexReach, Question, QuestionKind
from answerable.wiring import search_side
from answerable.wiring.search_settings import SearchSettings
from answerable.wiring.search_side import SearchSide

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEARCH-08")]
QUESTION = Question(words=("agent:x",), limit=1, cursor="")


def side(place: Path, **settings: object) -> SearchSide:
    wanted = SearchSettings(socket=place / "search.sock", **settings)
    return SearchSide(wanted, SimpleNamespace(size=999))


async def refused(one: SearchSide) -> str:
    with pytest.raises(Unavailable) as told:
        await one.ask(SEARCH, QUESTION)
    return told.value.code


async def test_without_a_server_or_where_it_is_turned_off_no_process_is_asked(tmp_path: Path) -> None:
    for one, command in ((side(tmp_path), ()), (side(tmp_path, enabled=False), ("false",))):
        await one.kept(command)
        assert await refused(one) == "search.off"
        assert await one.told() == ("off", 0, "")


async def test_the_first_question_starts_it_and_one_that_does_not_come_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_side, "QUESTION_SECONDS_MAX", 0.5)
    one = side(tmp_path)
    async with anyio.create_task_group() as beside:
        beside.start_soon(one.kept, ("sh", "-c", "exit 3"))
        await anyio.wait_all_tasks_blocked()
        assert await one.told() == ("waiting", 0, "")
        assert await refused(one) == "search.down"
        state, entries, reason = await one.told()
        assert (state, entries) == ("alarm", 0)
        assert "cannot be reached; it ended" in reason
        beside.cancel_scope.cancel()


async def test_one_that_is_stopped_holds_a_question_up_for_a_limited_time_and_the_answer_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS_MAX", 0.5)
    monkeypatch.setattr(client, "REACH_SECONDS_MAX", 0.5)
    one = side(tmp_path, start_entries=0)
    async with anyio.create_task_group() as beside:
        beside.start_soon(one.kept, ("sleep", "60"))
        await anyio.wait_all_tasks_blocked()
        # As of a process that a signal stopped: the kernel takes connections, and nobody reads them.
        with socket.socket(socket.AF_UNIX) as stopped:
            stopped.bind(str(tmp_path / "search.sock"))
            stopped.listen()
            with pytest.raises(Unavailable, match=r"no answer within 0\.5 s: it is stopped, hangs") as told:
                await one.ask(SEARCH, QUESTION)
            assert told.value.code == "search.late"
            assert f"`kill -9 {os.getpid()}`, and another one is started, or read" in told.value.message
            assert "--ledger DATA/ledger (of a shard DATA/ledger/shards/NAME)" in told.value.message
            state, _, reason = await one.told()
            assert (state, "it is stopped, hangs" in reason) == ("alarm", True)
        beside.cancel_scope.cancel()


async def test_a_long_ledger_starts_it_and_it_is_told_how_far_the_ledger_goes(tmp_path: Path) -> None:
    one = side(tmp_path, start_entries=999)
    async with anyio.create_task_group() as beside:
        beside.start_soon(one.kept, ("sh", "-c", f"read size; echo $size > {tmp_path}/told; cat"))
        await anyio.run_process(["sh", "-c", f"until [ -s {tmp_path}/told ]; do sleep 0.01; done"])
        beside.cancel_scope.cancel()
    assert (tmp_path / "told").read_text() == "999\n"


@pytest.mark.parametrize("ends", [1, 2])
async def test_a_question_that_met_the_end_of_the_process_is_asked_once_more(
    tmp_path: Path, ends: int
) -> None:
    one, asked = side(tmp_path, start_entries=0), 0
    body = b'{"entries": 7}'

    async def answers(caller: SocketStream) -> None:
        nonlocal asked
        async with caller:
            # Whoever only looks whether it listens sends nothing.
            with suppress(anyio.EndOfStream):
                await caller.receive()
                asked += 1
                if asked > ends:
                    await caller.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    kind = QuestionKind(path="/", question=Question, answer=IndexReach)
    async with (
        await anyio.create_unix_listener(tmp_path / "search.sock") as listener,
        anyio.create_task_group() as beside,
    ):
        beside.start_soon(listener.serve, answers)
        beside.start_soon(one.kept, ("sleep", "60"))
        await anyio.wait_all_tasks_blocked()
        if ends == 1:
            assert (await one.ask(kind, QUESTION)).entries == 7
        else:
            assert await refused(one) == "search.ended"
        assert asked == 2
        beside.cancel_scope.cancel()


@pytest.mark.parametrize("is_read", [True, False], ids=["closed", "reset"])
async def test_that_one_ended_before_it_answered_is_told_apart(tmp_path: Path, is_read: bool) -> None:
    with socket.socket(socket.AF_UNIX) as ending:
        ending.bind(str(tmp_path / "search.sock"))
        ending.listen()

        def ended() -> None:
            with ending.accept()[0] as caller:
                caller.recv(65_536, 0 if is_read else socket.MSG_PEEK)

        async with anyio.create_task_group() as beside:
            beside.start_soon(anyio.to_thread.run_sync, ended)
            with pytest.raises(Unavailable) as told:
                await client.HttpSearchProcess(tmp_path / "search.sock").ask(SEARCH, QUESTION)
            assert told.value.code == "search.ended"
