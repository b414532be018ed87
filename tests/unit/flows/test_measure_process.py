"""Measuring strangers' processes: own threads, turns by user, and no queue without an end."""

from __future__ import annotations

import threading
from functools import partial

import anyio
import anyio.to_thread
import pytest

from answerable.errors import Unavailable, Unverified
from answerable.flows.trust_domain.measure_process import TOGETHER_MAX, WAITING_PER_USER_MAX, Measuring
from answerable.ports.process_observer import ProcessFacts

pytestmark = pytest.mark.anyio


class Slow:
    """Measurements that end when they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.under_way: list[int] = []
        self.most: dict[int, int] = {}
        self.most_of_all = 0

    def observe(self, uid: int) -> ProcessFacts:
        with self.lock:
            self.under_way.append(uid)
            self.most[uid] = max(self.most.get(uid, 0), self.under_way.count(uid))
            self.most_of_all = max(self.most_of_all, len(self.under_way))
        assert self.go.wait(20)
        with self.lock:
            self.under_way.remove(uid)
        return ProcessFacts(process="boot:1:1", uid=uid, gid=uid)


async def until(said) -> None:
    with anyio.fail_after(20):
        while not said():  # noqa: ASYNC110 - nothing sets an event
            await anyio.sleep(0.001)


async def test_one_user_has_one_under_way_and_a_few_waiting_and_the_rest_is_told_to_come_again():
    slow, measuring = Slow(), Measuring()
    found: list[ProcessFacts] = []
    refused: list[str] = []

    async def ask(uid: int) -> None:
        try:
            found.append(await measuring.measured(uid, partial(slow.observe, uid)))
        except Unavailable as error:
            refused.append(error.code)

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(ask, 1000)
        await until(lambda: slow.under_way)
        await until(lambda: len(refused) == 50 - 1 - WAITING_PER_USER_MAX)
        for uid in range(2000, 2000 + 2 * TOGETHER_MAX):
            tasks.start_soon(ask, uid)
        await until(lambda: len(slow.under_way) == TOGETHER_MAX)
        # The threads that everybody shares are free all the while.
        assert await anyio.to_thread.run_sync(threading.get_ident) != threading.get_ident()
        slow.go.set()
    assert set(refused) == {"process.busy"}
    assert len(found) == 1 + WAITING_PER_USER_MAX + 2 * TOGETHER_MAX
    assert set(slow.most.values()) == {1}
    assert slow.most_of_all == TOGETHER_MAX
    # Nothing is left of those who have been here.
    assert (measuring._users, measuring._turns) == ({}, {})


async def test_who_leaves_or_fails_gives_its_place_back():
    slow, measuring = Slow(), Measuring()

    def failed() -> ProcessFacts:
        raise Unverified("the process is gone", code="process.gone", step="attestation")

    for _ in range(20):
        with pytest.raises(Unverified):
            await measuring.measured(1, failed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(measuring.measured, 1, partial(slow.observe, 1))
        await until(lambda: slow.under_way)
        for _ in range(3):
            async with anyio.create_task_group() as waiting:
                for _ in range(WAITING_PER_USER_MAX):
                    waiting.start_soon(measuring.measured, 1, partial(slow.observe, 1))
                await anyio.wait_all_tasks_blocked()
                waiting.cancel_scope.cancel()
        slow.go.set()
    assert (measuring._users, measuring._turns) == ({}, {})
