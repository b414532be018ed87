"""Simulate whole walks under faults: agents, mandates, random actions, approvers and holds, faults at every port,
disconnecting callers, crashes and clock jumps. The seed decides everything; in memory a run is reproducible.

report = await simulate(4711)

Raises AssertionError, with the seed and the last events, when a law is violated.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from random import Random
from typing import TYPE_CHECKING, Final

from anyio import CancelScope

from answerable.core.action.outcome import Outcome
from answerable.core.incident.timeline import story
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Broken, Refused, Unavailable
from answerable.flows.counters.keep_history import keep_history
from answerable.flows.forensics.opened_moment import opened_moment
from answerable.flows.recovery.settle_open_intents import (
    record_counted_refusals,
    recover_from_ledger,
    settle_open_intents,
)
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.place_hold import resume_holds
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import (
    POLICIES,
    Bench,
    about_customers,
    bench_documents,
    with_spending,
    with_trackers,
)
from answerable.testing.clock import ManualClock
from answerable.testing.disks import MemoryDisk
from answerable.testing.entropy import SeededEntropy
from answerable.testing.fault_injection import (
    Crash,
    Trouble,
    TroubledApprovals,
    TroubledHistory,
    TroubledLedger,
    TroubledMandates,
    TroubledRegistry,
    TroubledSubjectKeys,
    faults_of,
)
from answerable.testing.histories import TRACKERS, kept_here
from answerable.testing.invariants import Promises, broken_laws, disagreements
from answerable.testing.recording_upstream import Effect, RecordingUpstream
from answerable.testing.simulation_changes import RandomChanges, random_budgets
from answerable.testing.simulation_holds import RandomHolds, in_one_thread
from answerable.testing.simulation_report import Report
from answerable.testing.trouble_openings import TroubledOpenings
from answerable.testing.trouble_outside import TroubledChannel, TroubledUpstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.canonical import JSONValue
    from answerable.testing.disks import Disk, Stores
    from answerable.testing.fault_injection import Fault

LIMITS: Final = WalkLimits(
    approval_ttl_ms=120_000,
    approvals_pending_per_agent_max=4,
    refusals_recorded_max=12,
    refusals_window_ms=60_000,
    recorded_result_bytes_max=200,
)
AGENTS: Final = ("scout", "rover")
PEOPLE: Final = ("alice", "bob", "carol", "dan")
AMOUNTS: Final = (100, 200, 300, 5000, 6000, 6000, 60_000, 2_000_000)
STRICTER: Final = (
    POLICIES
    + '@id("refund-odd") forbid (principal, action == Action::"crm.refund", resource)\n'
    + ("when { context.arguments.amount == 5000 };\n")
)
TRACE_LINES: Final = 40
_ATTEMPT: ContextVar[int] = ContextVar("attempt", default=0)


async def simulate(seed: int, *, disk: Disk | None = None, lives: int = 3, steps: int = 30) -> Report:
    """Run one simulation: several lives of the process, each with this many steps of people, agents and timers."""
    return await Simulation(seed, disk).run(lives=lives, steps=steps)


class Simulation:
    """One simulation. disk: what survives the process. narrate: called with each event."""

    def __init__(self, seed: int, disk: Disk | None = None) -> None:
        self.chance = Random(seed)  # noqa: S311 - the point is that it can be repeated
        self.clock = ManualClock()
        self.entropy = SeededEntropy(seed)
        self.disk = disk or MemoryDisk(self.clock)
        self.report = Report(seed=seed)
        self.promises = Promises()
        self.effects: list[Effect] = []
        self.violations: list[str] = []
        self.happened: dict[int, int] = {}
        self.trace: list[str] = []
        self.narrate: Callable[[str], None] = lambda _: None
        self.holds = RandomHolds(self.chance, self.clock, self.violations, self.report)
        self.changes = RandomChanges(self.chance, self.violations, happens=seed % 3 == 0)
        self._mandates = 0
        self._given: dict[str, list[str]] = {agent: [] for agent in AGENTS}

    async def run(self, *, lives: int, steps: int) -> Report:
        """Run lives with faults, then one without, then check the laws."""
        with in_one_thread() if isinstance(self.disk, MemoryDisk) else nullcontext():
            return await self._run(lives, steps)

    async def _run(self, lives: int, steps: int) -> Report:
        for _ in range(lives):
            rate = self.chance.choice((0.0, 0.01, 0.04, 0.15))
            self.narrate(f"a process starts; of its calls {rate:.0%} fail")
            await self._life(rate, steps)
        bench, _ = self._bench(await self.disk.opened(), Trouble(lambda _number, _method: None))
        recover_from_ledger(bench.recorder, bench.authority, bench.counters, bench.walk.limits)
        await resume_holds(bench.recorder, bench.authority, overdue_only=False)
        await settle_open_intents(
            bench.recorder, bench.authority, bench.counters, bench.walk.limits, overdue_only=False
        )
        self.clock.advance((LIMITS.intent_ttl_ms + LIMITS.upstream_ms_max) / 1000 + 1)
        await settle_open_intents(bench.recorder, bench.authority, bench.counters, bench.walk.limits)
        if (
            await settle_open_intents(bench.recorder, bench.authority, bench.counters, bench.walk.limits)
            or bench.recorder.open_intents
        ):
            self.violations.append("settling a second time changed something")
        await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
        self._judge(bench)
        await self.disk.closed()
        return self.report

    def _fault(self, rate: float, method: str) -> Fault | None:
        if self.chance.random() >= rate:
            return None
        # Faults that end a life are rarer than those that a life survives.
        faults = faults_of(method)
        return self.chance.choices(faults, weights=(4, 4, 1, 1, 6, 6)[: len(faults)])[0]

    def _bench(self, stores: Stores, trouble: Trouble) -> tuple[Bench, TroubledLedger]:
        ledger = TroubledLedger(stores.ledger, trouble, latency=self.changes.latency)
        upstream = RecordingUpstream(
            clock=self.clock, ledger=ledger, subject_keys=stores.subject_keys, effects=self.effects,
            violations=self.violations, before=self._begins, after=self._happens, answer=self._said,
        )  # fmt: skip
        bench = Bench(
            clock=self.clock, entropy=self.entropy, ledger=ledger,
            registry=TroubledRegistry(stores.registry, trouble),
            mandates=TroubledMandates(stores.mandates, trouble),
            approvals=TroubledApprovals(stores.approvals, trouble),
            openings=TroubledOpenings(stores.openings, trouble), upstream=TroubledUpstream(upstream, trouble),
            subject_keys=TroubledSubjectKeys(stores.subject_keys, trouble),
            history=TroubledHistory(stores.history, trouble), revocations=self.holds.revocations,
            holds=self.holds.troubled(trouble), limits=LIMITS,
        )  # fmt: skip
        self.holds.doubt(bench.authority.registry, bench.walk.policies)
        self.changes.begin(bench.recorder, bench.authority.mandates, upstream)
        bench.asking.channel = TroubledChannel(bench.asking.channel, trouble)
        return bench, ledger

    async def _life(self, rate: float, steps: int) -> None:
        trouble = Trouble(lambda _number, method: self._fault(rate, method), at_crash=self.disk.snapshot)
        self.report.lives += 1
        bench, ledger = self._bench(await self.disk.opened(), trouble)
        with suppress(Unavailable, Crash):
            # A process that cannot recover does not start.
            recover_from_ledger(bench.recorder, bench.authority, bench.counters, bench.walk.limits)
            await self._lived(bench, ledger, trouble, steps)
        self.report.crashes += trouble.dead
        self.report.struck += trouble.struck
        await self.disk.crashed()

    async def _lived(self, bench: Bench, ledger: TroubledLedger, trouble: Trouble, steps: int) -> None:
        for doing in (self._resume, self._settle, self._register, self._mandate, self._mandate):
            await self._in_scope(CancelScope(), doing, bench)
        tasks: dict[asyncio.Task[None], CancelScope] = {}
        for _ in range(steps):
            act = self._doing()
            scope = CancelScope()
            tasks[asyncio.create_task(self._in_scope(scope, act, bench))] = scope
            for _ in range(self.chance.choice((0, 0, 1, 3, 9))):
                await asyncio.sleep(0)
            self._somebody_leaves(tasks)
            if trouble.dead:
                break
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        self.violations += [f"unexpected: {e!r}" for e in ended if isinstance(e, Exception)]
        if not trouble.dead:
            self.violations += disagreements(
                bench.recorder,
                bench.authority,
                bench.counters.history,
                bench.walk.policies,
                AGENTS,
                poisoned=ledger.poisoned,
            )

    def _doing(self) -> Callable[[Bench], Awaitable[None]]:
        # While everything is held nothing else happens, so every second run has no holds.
        held, changed = 6 * (self.report.seed % 2), 6 * self.changes.happens
        weights = {
            self._act: 60, self._person: 30, self._mandate: 4, self._close: 1, self._register: 2, self._settle: 5,
            self._time: 4, self._hold: held, self._lift: 2 * held, self._resume: 1, self._change: changed,
        }  # fmt: skip
        return self.chance.choices([*weights], weights=[*weights.values()])[0]

    def _somebody_leaves(self, tasks: dict[asyncio.Task[None], CancelScope]) -> None:
        if self.chance.random() >= 0.08:
            return
        task = self.chance.choice(list(tasks))
        if not task.done():
            self.report.left += 1
            if self.chance.random() < 0.5:
                tasks[task].cancel()
            else:
                task.cancel()

    async def _in_scope(
        self, scope: CancelScope, doing: Callable[[Bench], Awaitable[None]], bench: Bench
    ) -> None:
        name = doing.__name__
        try:
            with scope:
                await doing(bench)
                self._note(name, "ended")
        except Broken as fault:
            self.violations.append(f"{name} broke: {fault.message}")
        except (AnswerableError, ConnectionError, Crash) as fault:
            self._note(name, f"{type(fault).__name__} {getattr(fault, 'code', '')}")

    def _note(self, name: str, what: str) -> None:
        self.trace.append(f"{name}: {what}")
        self.narrate(self.trace[-1])
        del self.trace[:-TRACE_LINES]

    async def _act(self, bench: Bench) -> None:
        """Let an agent try an action, mostly an allowed one, sometimes a forbidden one."""
        self.report.attempts += 1
        attempt = self.report.attempts
        _ATTEMPT.set(attempt)
        agent = self.chance.choice(AGENTS)
        own = self._given[agent][-3:]
        mandate = self.chance.choice(own) if own and self.chance.random() < 0.9 else self._any_mandate()
        target = self.chance.choice(("get_case", "refund", "refund", "refund"))
        arguments: JSONValue = {"case": "4711"}
        if target == "refund":
            arguments = {"case": "4711", "amount": self.chance.choice(AMOUNTS)}
        if self.chance.random() < 0.05:
            arguments = {"case": "4711", "amount": "much", "more": [1]}
        action, caller = bench.request(target, arguments, mandate=mandate, agent=agent)
        self.holds.asks(attempt, agent, mandate, target)
        told = "none"
        try:
            answer = await bench.govern(action, caller)
        except Refused as refused:
            if refused.entry_index is not None:
                self.promises.receipts.append((refused.entry_index, Tag.REFUSAL))
            raise
        except Unavailable as failed:
            told = failed.effect
            raise
        except BaseException:
            told = "unknown"
            raise
        else:
            told = self._answered(answer.outcome)
            if answer.intent is not None:
                self.promises.receipts.append((answer.intent, Tag.INTENT))
            if answer.receipt is not None:
                tag = Tag.INDETERMINATE if told == "unknown" else Tag.OUTCOME
                self.promises.receipts.append((answer.receipt, tag))
        finally:
            self.promises.told[attempt] = told  # type: ignore[assignment]
            self._note("act", f"{agent} {mandate} {target} {arguments}: {told}")

    def _answered(self, outcome: Outcome | None) -> str:
        if outcome is None:
            self.report.deferred += 1
            return "none"
        return "unknown" if outcome.status == "indeterminate" else outcome.status

    async def _person(self, bench: Bench) -> None:
        """Let a person answer an approval, or try to."""
        waiting = list(
            bench.authority.approvals.all(pending_only=self.chance.random() < 0.8, now=self.clock.now())
        )
        if waiting:
            approves = self.chance.random() < 0.9
            approval = self.chance.choice(waiting)
            person = self.chance.choice(PEOPLE)
            await bench.answer(approval, by=person, verdict="approve" if approves else "deny")

    async def _mandate(self, bench: Bench) -> None:
        self._mandates += self.chance.random() < 0.9 or not self._mandates
        name, agent = f"m-{self._mandates}", self.chance.choice(AGENTS)
        self._given[agent].append(name)
        await bench.issue(
            name,
            agent=agent,
            calls_max=self.chance.choice((1, 2, 5, 20)),
            budgets=random_budgets(self.chance),
            principal=self.chance.choice(("alice", "bob")),
        )

    async def _close(self, bench: Bench) -> None:
        await close_mandate(bench.recorder, bench.authority, bench.live, self._any_mandate(), by="operator")

    def _any_mandate(self) -> str:
        return f"m-{self.chance.randint(1, max(1, self._mandates))}"

    async def _register(self, bench: Bench) -> None:
        policies = self.chance.choice((POLICIES, POLICIES, STRICTER, "permit ("))
        documents = [with_spending(one) for one in bench_documents(policies)]
        if self.chance.random() < 0.5:
            documents = [about_customers(one) for one in documents]
        if self.chance.random() < 0.7:
            documents = [with_trackers(one, self.chance.sample(TRACKERS, 4)) for one in documents]
        await bench.apply(documents, prune=self.chance.random() < 0.5)

    async def _hold(self, bench: Bench) -> None:
        self._note("hold", await self.holds.place(bench, AGENTS, self._any_mandate()))

    async def _lift(self, bench: Bench) -> None:
        self._note("lift", await self.holds.lift(bench, PEOPLE))

    async def _change(self, bench: Bench) -> None:
        self._note("change", await self.changes.change(bench, self._any_mandate()))

    async def _resume(self, bench: Bench) -> None:
        await resume_holds(bench.recorder, bench.authority)

    async def _settle(self, bench: Bench) -> None:
        await settle_open_intents(bench.recorder, bench.authority, bench.counters, bench.walk.limits)
        await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
        bench.recorder.intents.keep_budgets()
        await keep_history(
            bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock, elsewhere=kept_here
        )

    async def _time(self, _: Bench) -> None:
        if self.chance.random() < 0.8:
            self.clock.advance(self.chance.choice((0.5, 5, 20, 140)))
        else:
            self.clock.jump(self.chance.choice((-86_400, -3, 3, 600)))

    async def _begins(self, effect: Effect) -> None:
        alone = isinstance(self.disk, MemoryDisk)
        self.holds.starts(_ATTEMPT.get(), in_one_thread=alone)
        self.changes.starts(effect, in_one_thread=alone)
        await self._dawdle(effect)

    async def _dawdle(self, _effect: Effect) -> None:
        for _ in range(self.chance.choice((0, 0, 1, 4, 20))):
            await asyncio.sleep(0)

    async def _happens(self, effect: Effect) -> None:
        attempt = _ATTEMPT.get()
        self.happened[attempt] = self.happened.get(attempt, 0) + 1
        await self._dawdle(effect)

    def _said(self, _: Effect) -> Outcome:
        status = self.chance.choices(("succeeded", "failed"), weights=(8, 2))[0]
        result: dict[str, JSONValue] = {"text": "x" * self.chance.choice((1, 10, 1000))}
        if self.chance.random() < 0.7:
            result["structuredContent"] = {"rows": self.chance.choice((0, 1, 3, 9, 12, -4, "many"))}
        return Outcome(status="failed" if status == "failed" else "succeeded", result=result)

    def _judge(self, bench: Bench) -> None:
        entries = list(bench.recorder.ledger.replay())
        self.report.effects, self.report.entries = len(self.effects), len(entries)
        said = [leaf_of(stored) for stored in entries]
        for name in ("returned", "overrun"):
            setattr(self.report, name, sum(name in leaf for leaf in said))
        self.report.spent = sum(leaf.get("code") == "mandate.budget_spent" for leaf in said)
        self.holds.judge(entries)
        self.report.intents = sum(stored.tag == Tag.INTENT for stored in entries)
        self.violations += broken_laws(
            entries, self.effects, bench.authority.mandates, subject_keys=bench.recorder.subject_keys,
            promises=self.promises, happened=self.happened,
        )  # fmt: skip
        moments = [opened_moment(stored, bench.recorder.subject_keys.find) for stored in entries]
        for name in (str(len(entries) - 1), *(effect.key for effect in self.effects[:2])):
            if not story(moments, name):
                self.violations.append(f"the timeline knows nothing of {name}")
        assert not self.violations, "\n".join(  # noqa: S101 - this is what a simulation is for
            [f"seed {self.report.seed}:", *self.violations, "what happened last:", *self.trace]
        )
