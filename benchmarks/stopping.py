"""Processes that act at a given rate on one register file while holds are placed: a part of `containment`.

Each has the whole walk on a log of its own, with a no-op upstream; whoever is refused goes on asking.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import uvloop
from course import MANDATE, Course, channel_messages, course, one_action

from answerable.adapters.sqlite import SqliteStore
from answerable.core.action.quota import RefusalQuota
from answerable.core.containment.hold import Hold, holdable
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import AnswerableError
from answerable.flows.containment.follow_holds import follow_holds
from answerable.flows.revocation.place_hold import place_hold

CALLERS: Final = 16
POLL_SECONDS: Final = 0.001
REFUSALS_MAX: Final = 1_000_000_000
ANSWER_SECONDS_MAX: Final = 120


class Acting:
    """One process that acts, from outside."""

    def __init__(self, folder: Path, name: str, rate: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_acted, args=(there, str(folder), name, rate), daemon=True)
        self._process.start()
        there.close()
        self.answer()

    def ask(self, *wanted: Any) -> Any:
        """Have something done, and what came of it."""
        self._pipe.send(wanted)
        return self.answer()

    def answer(self) -> Any:
        """What it says next. Raises TimeoutError."""
        if not self._pipe.poll(ANSWER_SECONDS_MAX):
            raise TimeoutError("a process does not answer")
        return self._pipe.recv()

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.join()


def _acted(pipe: Connection, folder: str, name: str, rate: float) -> None:
    uvloop.run(_live(pipe, Path(folder), name, rate))


async def _live(pipe: Connection, folder: Path, name: str, rate: float) -> None:
    own = folder / name
    own.mkdir()
    store = SqliteStore.open(folder / "registers.db")
    made = course(own, shared=store)
    # Whoever asks on and on is held for that alone once it has had its quota of refusals: no stop would be needed.
    made.walk.counters.quota = RefusalQuota(recorded_max=REFUSALS_MAX, window_ms=REFUSALS_MAX)
    messages = channel_messages(made)
    pause = CALLERS / rate

    async def caller(number: int) -> None:
        await asyncio.sleep(pause * number / CALLERS)
        due = time.monotonic()
        while True:
            due = max(due + pause, time.monotonic() - pause)
            with suppress(AnswerableError):
                await one_action(made, next(messages))
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    tasks = [asyncio.create_task(caller(number)) for number in range(CALLERS)]
    tasks.append(
        asyncio.create_task(
            follow_holds(
                made.walk.recorder.open_intents, made.walk.authority, made.walk.live, made.walk.counters.cuts
            )
        )
    )
    pipe.send("ready")
    holds: list[Hold] = []
    while True:
        while not pipe.poll():  # noqa: ASYNC110 - the other process sets no event of ours
            await asyncio.sleep(POLL_SECONDS)
        match pipe.recv():
            case ("press",):
                pipe.send(await _press(made, holds))
            case ("lift",):
                hold = holds.pop()
                pipe.send(made.walk.authority.holds.replace(_lifted(made, hold), was=hold))
            case ("effects",):
                pipe.send(_starts(made))


async def _press(made: Course, holds: list[Hold]) -> tuple[float, float]:
    """When it was pressed and when everything of it was done, on the clock of all processes."""
    pressed = time.perf_counter()
    placed = await place_hold(
        made.walk.recorder,
        made.walk.authority,
        made.walk.live,
        made.walk.counters.cuts,
        holdable("mandate", MANDATE),
        by="bench",
    )
    holds.append(placed.hold)
    return pressed, time.perf_counter()


def _lifted(made: Course, hold: Hold) -> Hold:
    return replace(hold, lifted_at=UnixMillis(made.walk.clock.now()))


def _starts(made: Course) -> list[float]:
    """When effects started since the last look."""
    found = list(made.decided)
    made.decided.clear()
    return found
