"""Processes that act as fast as they are told, on one register file, while somebody stops them at random moments.

Each has a log of its own, keeps calling whatever it is told, and notes each effect in a file as it starts: when the
walk looked last whether it may, when it started, and its action. A process that is killed loses none of that.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import struct
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from answerable.adapters.memory.upstream import MemoryUpstream
from answerable.adapters.sqlite import (
    SqliteHoldRegister,
    SqliteMandateRegister,
    SqliteRegistryStore,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteSubjectKeys,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.core.containment.hold import HoldId, holdable
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.containment.follow_holds import follow_holds
from answerable.flows.recovery.settle_open_intents import recover_from_ledger, settle_open_intents
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import Bench, ledger_key
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from answerable.testing.tool_pins import ApprovedAsSeen

CALLERS = 16
EFFECT = struct.Struct("<qq32s")
HANGS_MAX_SECONDS = 0.02
# Whoever asks on and on is held for that alone once it has had its quota of refusals: no stop would be needed.
LIMITS = WalkLimits(intent_ttl_ms=1_000, upstream_ms_max=60_000, refusals_recorded_max=10_000_000)
WAIT_SECONDS_MAX = 120
STOPPABLE = (
    ("agent", "scout"),
    ("server", "crm"),
    ("tool", "crm/get_case"),
    ("capability", "crm.read"),
    ("owner", "alice"),
    ("environment", "production"),
    ("everything", ""),
)


class LookedAt:
    """A register of revocations that notes when it was asked last: every walk asks it last of all before an effect."""

    def __init__(self, register: SqliteRevocationRegister) -> None:
        self._register = register
        self.at = 0

    def epoch(self) -> int:
        self.at = time.monotonic_ns()
        return self._register.epoch()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._register, name)


class Worker:
    """One process under load."""

    def __init__(self, folder: Path, name: str, *, rate: float) -> None:
        self.pause, self.is_over, self.calling = CALLERS / rate, False, CALLERS
        self.refused: Counter[str] = Counter()
        clock, entropy = SystemClock(), SystemEntropy()
        own = folder / name
        own.mkdir(exist_ok=True)
        store = SqliteStore.open(folder / "registers.db")
        register = SqliteRevocationRegister(store, clock=clock)
        self.looked = LookedAt(register)
        self.effects = os.open(own / "effects", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self.ledger = TlogFilesLedger.open(
            own / "ledger", key=ledger_key(), sign=signing_key("ledger").sign, clock=clock
        )
        upstream = MemoryUpstream(clock=clock, tools={"get_case": self.tool, "refund": self.tool})
        self.current = ""
        perform = upstream.perform

        async def performed(warrant: Any, *, progress: Any = None) -> Any:
            self.current = warrant.action_id
            return await perform(warrant, progress=progress)

        upstream.perform = performed
        registry = fresh(SqliteRegistryStore)
        root = own / "root"
        if not root.exists():
            root.write_bytes(entropy.bytes(32))
        self.bench = Bench(
            clock=clock,
            entropy=entropy,
            ledger=self.ledger,
            registry=registry,
            # Whoever comes back while everything is held could issue none.
            mandates=SqliteMandateRegister(SqliteStore.open(own / "mandates.db")),
            upstream=upstream,
            pins=ApprovedAsSeen(registry, upstream),
            revocations=self.looked,
            holds=SqliteHoldRegister(store, register),
            subject_keys=SqliteSubjectKeys.open(own / "keys.db", root=root.read_bytes(), entropy=entropy),
            limits=LIMITS,
        )
        self.random = random.Random(name)

    async def tool(self, _: dict[str, Any]) -> dict[str, Any]:
        # Before anything else: what is lost of a killed process must not be its last effect.
        os.write(self.effects, EFFECT.pack(self.looked.at, time.monotonic_ns(), self.current.encode()))
        await anyio.sleep(self.random.random() * HANGS_MAX_SECONDS)
        return {"content": [], "isError": False}

    async def run(self, pipe: Any) -> None:
        async with self.ledger, anyio.create_task_group() as tasks:
            walk = self.bench.walk
            recover_from_ledger(walk.recorder, walk.authority, walk.counters, walk.limits)
            await self.bench.registered()
            mandate = "m-1"
            if walk.authority.mandates.find(mandate) is None:
                await self.bench.issue(mandate, calls_max=10_000_000)
            tasks.start_soon(
                follow_holds, walk.recorder.open_intents, walk.authority, walk.live, walk.counters.cuts
            )
            for number in range(CALLERS):
                tasks.start_soon(self.call_on, mandate, number)
            pipe.send("ready")
            while True:
                while not pipe.poll():  # noqa: ASYNC110 - the other process sets no event of ours
                    await anyio.sleep(0.001)
                wanted, *given = pipe.recv()
                if wanted == "end":
                    break
                pipe.send(await getattr(self, wanted)(*given))
            tasks.cancel_scope.cancel()
        # Whatever its caller left has an end in the log, or gets it at the next start.

    async def call_on(self, mandate: str, number: int) -> None:
        """A caller that does not listen."""
        await anyio.sleep(self.pause * number / CALLERS)
        due = time.monotonic()
        while not self.is_over:
            due = max(due + self.pause, time.monotonic() - self.pause)
            try:
                await self.bench.act(mandate=mandate)
            except AnswerableError as failed:
                self.refused[failed.code] += 1
            await anyio.sleep(max(0.0, due - time.monotonic()))
        self.calling -= 1

    async def stop(self, kind: str, name: str) -> dict[str, Any]:
        pressed = time.monotonic_ns()
        walk = self.bench.walk
        place = walk.authority.holds.place
        in_force: list[int] = []

        def placed_now(hold: Any) -> Any:
            found = place(hold)
            in_force.append(time.monotonic_ns())
            return found

        walk.authority.holds.place = placed_now
        try:
            placed = await place_hold(
                walk.recorder,
                walk.authority,
                walk.live,
                walk.counters.cuts,
                holdable(kind, name),
                by="uid:0",
                source="drill",
            )
        finally:
            walk.authority.holds.place = place
        return {
            "pressed": pressed,
            "in_force": in_force[0],
            "returned": time.monotonic_ns(),
            "hold": placed.hold.id,
            "recorded": placed.recorded,
            "in_flight": [one.action for one in placed.in_flight],
            "entry": self.ledger.size - 1,
        }

    async def lift(self, name: str) -> bool:
        holds = self.bench.authority.holds
        hold = holds.get(HoldId(name))
        assert hold is not None
        return holds.replace(replace(hold, lifted_at=self.bench.clock.now()), was=hold)

    async def settled(self) -> dict[str, Any]:
        """Nothing is in flight any more, and what a process before this one left has its end."""
        walk = self.bench.walk
        with anyio.fail_after(WAIT_SECONDS_MAX):
            while walk.live.calls or walk.recorder.open_intents:
                await settle_open_intents(
                    walk.recorder, walk.authority, walk.counters, walk.limits, overdue_only=False
                )
                await anyio.sleep(0.005)
        return {"refused": dict(self.refused)}

    async def account(self) -> dict[str, Any]:
        """By the log, with nobody calling any more: status by action."""
        self.is_over = True
        with anyio.fail_after(WAIT_SECONDS_MAX):
            while self.calling:  # noqa: ASYNC110 - a wait of a test, which ends with the last of them
                await anyio.sleep(0.005)
        await self.settled()
        return await anyio.to_thread.run_sync(self._account)

    def _account(self) -> dict[str, Any]:
        actions: dict[int, str] = {}
        ends: dict[str, str] = {}
        for stored in self.ledger.replay():
            leaf = leaf_of(stored)
            if stored.tag == Tag.INTENT:
                actions[stored.index] = str(leaf["action"])
                ends[actions[stored.index]] = ""
            elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
                ends[actions[int(str(leaf["intent"]))]] = str(leaf["status"])
        return ends


def worked(pipe: Any, folder: str, name: str, rate: float) -> None:
    """The whole life of one process."""
    anyio.run(partial(Worker(Path(folder), name, rate=rate).run, pipe))


class Process:
    """A worker, from outside."""

    def __init__(self, folder: Path, name: str, *, rate: float) -> None:
        self.folder, self.name, self.rate = folder, name, rate
        self._read = 0
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(
            target=worked, args=(there, str(self.folder), self.name, self.rate), daemon=True
        )
        self.process.start()
        # So that one that dies is heard of at once.
        there.close()
        assert self.answer() == "ready"

    def answer(self) -> Any:
        assert self.pipe.poll(WAIT_SECONDS_MAX), f"process {self.name} does not answer"
        return self.pipe.recv()

    def ask(self, *wanted: Any) -> Any:
        self.pipe.send(wanted)
        return self.answer()

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join(WAIT_SECONDS_MAX)

    def effects(self) -> list[tuple[int, int, str]]:
        """Those since the last call: last look, start, action."""
        octets = (self.folder / self.name / "effects").read_bytes()
        octets = octets[: len(octets) - len(octets) % EFFECT.size]
        new = octets[self._read :]
        self._read = len(octets)
        return [(look, start, action.decode()) for look, start, action in EFFECT.iter_unpack(new)]

    def end(self) -> None:
        self.pipe.send(("end",))
        self.process.join(WAIT_SECONDS_MAX)


def told(found: dict[str, Any]) -> str:
    """For a failure's message."""
    return json.dumps(found, default=str)[:2_000]
