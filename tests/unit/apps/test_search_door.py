"""The socket of the process that answers searches: whom it answers, and what it takes."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec
import pytest

from answerable.adapters.search_http import HttpSearchProcess
from answerable.adapters.uvicorn_front import listen, serve
from answerable.api.search_answers import SearchAnswer
from answerable.apps.search_door import application
from answerable.apps.search_door.application import SearchServices, answering, search_app
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.core.search.query import parsed_query
from answerable.ports.search_process import QUESTION_BYTES_MAX, REACH_PATH, SEARCH, IndexReach, Question

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SEARCH-09")]
NONE = SearchAnswer(
    items=(),
    next="",
    log="x.test",
    entries=0,
    missing=0,
    shards=(),
    elsewhere={},
    complete_at=None,
    happened=False,
    sealed=(),
)
QUESTION = {"words": ["agent:x"], "limit": 1, "cursor": "", "entries": 0}


def answered(question: Question) -> SearchAnswer:
    parsed_query(question.words, now=0)
    return NONE


@asynccontextmanager
async def client(
    search: Callable[[Question], SearchAnswer] = answered, uid: int | None = os.geteuid()
) -> AsyncIterator[httpx2.AsyncClient]:
    app = search_app(
        SearchServices(
            answers=(answering(SEARCH, search),),
            reach=lambda: IndexReach(entries=7),
            uids=frozenset({os.geteuid()}),
        )
    )

    async def from_peer(scope: Any, receive: Any, send: Any) -> None:
        peer = PeerCredentials(pid=1, uid=uid, gid=1) if uid is not None else None
        channel = Channel(connection=1, sequence=1, peer=peer)
        await app({**scope, "extensions": {CHANNEL_EXTENSION: channel}}, receive, send)

    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=from_peer), base_url="http://x"
    ) as found:
        yield found


async def test_its_own_user_is_answered() -> None:
    async with client() as http:
        answer = await http.post(SEARCH.path, json=QUESTION)
        assert msgspec.json.decode(answer.content, type=SearchAnswer) == NONE
        assert (await http.get(REACH_PATH)).json() == {"entries": 7}


@pytest.mark.parametrize("uid", [None, 4_000_000_000 - 1])
async def test_a_process_of_another_user_is_turned_away(uid: int | None) -> None:
    async with client(uid=uid) as http:
        for answer in (await http.post(SEARCH.path, json=QUESTION), await http.get(REACH_PATH)):
            assert (answer.status_code, answer.json()["code"]) == (403, "search.peer")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "request.body"),
        (b"[" * 2_000, "request.body"),
        (b'{"words": "\xff"}', "request.body"),
        (msgspec.json.encode({**QUESTION, "words": [1]}), "request.body"),
        (msgspec.json.encode({**QUESTION, "words": ["nothing"]}), "search.word"),
        (b" " * (QUESTION_BYTES_MAX + 1), "request.size"),
    ],
)
async def test_a_question_that_is_none_is_refused(body: bytes, code: str) -> None:
    async with client() as http:
        answer = await http.post(SEARCH.path, content=body)
        assert (answer.json()["code"], answer.json()["branch"]) == (code, "malformed")


async def test_a_fault_of_the_search_ends_that_search_alone() -> None:
    faults = iter((ValueError("a secret"), None))

    def faulty(question: Question) -> SearchAnswer:
        if (fault := next(faults)) is not None:
            raise fault
        return NONE

    async with client(faulty) as http:
        answer = await http.post(SEARCH.path, json=QUESTION)
        assert (answer.status_code, answer.json()["code"]) == (503, "search.failed")
        assert "a secret" not in answer.text
        assert (await http.post(SEARCH.path, json=QUESTION)).status_code == 200


async def test_more_than_can_wait_are_turned_away_and_one_is_answered_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(application, "WAITING_MAX", 3)
    release = threading.Event()
    running, most = 0, 0

    def slow(question: Question) -> SearchAnswer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        release.wait()
        running -= 1
        return NONE

    statuses: list[int] = []
    async with client(slow) as http:

        async def ask() -> None:
            statuses.append((await http.post(SEARCH.path, json=QUESTION)).status_code)
            if len(statuses) == 2:
                release.set()

        async with anyio.create_task_group() as asking:
            for _ in range(5):
                asking.start_soon(ask)
    assert statuses == [503, 503, 200, 200, 200]
    assert most == 1


async def test_a_question_whose_caller_leaves_before_its_turn_is_not_worked_off(tmp_path: Path) -> None:
    began, release, asked = threading.Event(), threading.Event(), list[str]()

    def slow(question: Question) -> SearchAnswer:
        asked.append(question.words[0])
        began.set()
        release.wait(60)
        return NONE

    app = search_app(
        SearchServices(
            answers=(answering(SEARCH, slow),),
            reach=lambda: IndexReach(entries=7),
            uids=frozenset({os.geteuid()}),
        )
    )
    place, left = tmp_path / "search.sock", anyio.Event()

    async def followed(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        if len(asked) == 1 and scope["type"] == "http":
            left.set()

    async def ask(word: str) -> None:
        question = Question(words=(word,), limit=1, cursor="", entries=0)
        await HttpSearchProcess(place, seconds_max=60).ask(SEARCH, question)

    async with anyio.create_task_group() as tasks:
        stop = anyio.Event()
        started = partial(serve, followed, listeners=listen(uds=place), stop=stop)
        tasks.start_soon(started)
        async with anyio.create_task_group() as asking:
            asking.start_soon(ask, "agent:first")
            await anyio.to_thread.run_sync(began.wait, 60)
            with anyio.move_on_after(0.2):
                await ask("agent:left")
            with anyio.move_on_after(20):
                await left.wait()
            asking.start_soon(ask, "agent:last")
            release.set()
        stop.set()
    assert asked == ["agent:first", "agent:last"]
