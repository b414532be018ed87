"""One story with every single fault, and with pairs of faults, at every call of every port.

What the house tried on a model of the walk is tried here on the walk itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from itertools import combinations
from random import Random

import pytest

from answerable.adapters.sqlite import SqliteRegistryStore
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.entry import StoredEntry
from answerable.errors import AnswerableError
from answerable.flows.recovery.settle_open_intents import (
    record_counted_refusals,
    recover_from_ledger,
    settle_open_intents,
)
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.disks import MemoryDisk
from answerable.testing.entropy import SeededEntropy
from answerable.testing.fault_injection import (
    Crash,
    Fault,
    Trouble,
    TroubledApprovals,
    TroubledLedger,
    TroubledMandates,
    TroubledSubjectKeys,
    faults_of,
)
from answerable.testing.invariants import Promises, broken_laws
from answerable.testing.recording_upstream import Effect, RecordingUpstream
from answerable.testing.registers import fresh
from answerable.testing.trouble_outside import TroubledChannel, TroubledUpstream
from tests.worlds.parts import to_settle

PAIRS_AT_RANDOM = 100
Script = dict[int, Fault]


async def _issue(bench: Bench) -> None:
    await bench.issue(calls_max=4)


async def _ask(bench: Bench) -> None:
    await bench.refund(6000)


async def _approve(bench: Bench) -> None:
    for approval in bench.authority.approvals.all(pending_only=True, now=bench.clock.now()):
        await bench.answer(approval)


async def _read(bench: Bench) -> None:
    await bench.act()


async def _ask_too_much(bench: Bench) -> None:
    await bench.refund(2_000_000)


async def _close(bench: Bench) -> None:
    await close_mandate(bench.recorder, bench.authority, bench.live, "m-1", by="alice")


async def _settle(bench: Bench) -> None:
    await settle_open_intents(*to_settle(bench.walk))
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    bench.recorder.intents.keep_budgets()


# Steps come twice where a person or an agent would try again.
STORY: tuple[Callable[[Bench], Awaitable[None]], ...] = (
    _issue, _issue, _ask, _approve, _approve, _ask, _ask, _read, _ask_too_much, _settle, _close, _close, _read, _settle,
)  # fmt: skip


@cache
def registry_in_force() -> SqliteRegistryStore:
    """The same for all scripts: this story changes nothing in it."""
    registry = fresh(SqliteRegistryStore)
    asyncio.run(Bench(registry=registry).registered())
    return registry


class Stage:
    """A story on a disk, process after process. answer: what the upstream says of an effect."""

    def __init__(
        self,
        script: Script,
        *,
        story: Sequence[Callable[[Bench], Awaitable[None]]] = STORY,
        registry: SqliteRegistryStore | None = None,
        answer: Callable[[Effect], Outcome] | None = None,
    ) -> None:
        self.story, self.registry, self.answer = story, registry or registry_in_force(), answer
        self.clock = ManualClock()
        self.entropy = SeededEntropy(0)
        self.disk = MemoryDisk(self.clock)
        self.effects: list[Effect] = []
        self.violations: list[str] = []
        self.script = script
        self.calls: list[str] = []
        self.entries: list[StoredEntry] = []
        self.last: Bench | None = None

    async def play(self) -> list[str]:
        """The story and what comes after; returns the calls of ports it had. Fails where a law does not hold."""
        bench = await self._process()
        for step in self.story:
            try:
                await step(bench)
            except (AnswerableError, ConnectionError):
                continue
            except Crash:
                await self.disk.crashed()
                bench = await self._process()
        await self._end()
        return self.calls

    async def _process(self) -> Bench:
        bench = await self._bench(Trouble(self._fault))
        recover_from_ledger(*to_settle(bench.walk))
        return bench

    def _fault(self, _number: int, method: str) -> Fault | None:
        self.calls.append(method)
        return self.script.get(len(self.calls) - 1)

    async def _bench(self, trouble: Trouble) -> Bench:
        stores = await self.disk.opened()
        ledger = TroubledLedger(stores.ledger, trouble)
        upstream = RecordingUpstream(
            clock=self.clock,
            ledger=ledger,
            subject_keys=stores.subject_keys,
            effects=self.effects,
            violations=self.violations,
            answer=self.answer,
        )
        bench = Bench(
            clock=self.clock,
            entropy=self.entropy,
            ledger=ledger,
            registry=self.registry,
            mandates=TroubledMandates(stores.mandates, trouble),
            approvals=TroubledApprovals(stores.approvals, trouble),
            upstream=TroubledUpstream(upstream, trouble),
            subject_keys=TroubledSubjectKeys(stores.subject_keys, trouble),
        )
        bench.asking.channel = TroubledChannel(bench.asking.channel, trouble)
        return bench

    async def _end(self) -> None:
        await self.disk.crashed()
        bench = await self._bench(Trouble(lambda _number, _method: None))
        recover_from_ledger(*to_settle(bench.walk))
        self.clock.advance(200)
        await settle_open_intents(*to_settle(bench.walk))
        again = await settle_open_intents(*to_settle(bench.walk))
        entries = list(bench.recorder.ledger.replay())
        found = broken_laws(
            entries,
            self.effects,
            bench.authority.mandates,
            subject_keys=bench.recorder.subject_keys,
            promises=Promises(),
            happened={},
        )
        found += [*self.violations, *(["settling twice changed something"] if again else [])]
        assert not found, f"script {self.script}: {found}"
        self.entries = entries
        self.last = bench


def played(scripts: Iterable[Script]) -> int:
    """Plays scripts; returns how many."""
    count = 0
    for script in scripts:
        asyncio.run(Stage(script).play())
        count += 1
    return count


RETRIES = ("ledger.submit", "mandates.find", "approvals.matching") * 4
"""After a first fault a story has some calls more, for people try again."""


def faults(*more: str) -> list[tuple[int, Fault]]:
    """Each fault at each call of the story, and of more calls after it."""
    registry_in_force()
    stage = Stage({})
    calls = asyncio.run(stage.play())
    assert len(stage.effects) == 2, "without faults, one approved refund and one read"
    return [(at, fault) for at, method in enumerate([*calls, *more]) for fault in faults_of(method)]


@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-04")
def test_no_single_fault_breaks_a_law():
    count = played({at: fault} for at, fault in faults())
    print(f"{count} scripts of one fault")
    assert count > 200


@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-04")
def test_no_pair_of_faults_taken_at_random_breaks_a_law():
    chance, found = Random(4711), faults(*RETRIES)
    assert played(dict(chance.sample(found, 2)) for _ in range(PAIRS_AT_RANDOM)) == PAIRS_AT_RANDOM


@pytest.mark.slow
@pytest.mark.requirement("WALK-12", "WALK-01", "WALK-03", "WALK-04")
@pytest.mark.parametrize("part", range(8))
def test_no_pair_of_faults_breaks_a_law(part: int):
    pairs = [dict(pair) for pair in combinations(faults(*RETRIES), 2) if pair[0][0] != pair[1][0]]
    count = played(pairs[part::8])
    print(f"{count} scripts of two faults")
    assert count > 2000
