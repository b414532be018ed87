"""A bench with stop rules in force, the same one after a restart, and a log that has no room at first."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from answerable.adapters.sqlite import SqliteHistoryRegister
from answerable.core.identity.workload.evidence import CallerIdentity
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused, Unavailable
from answerable.flows.counters.recall_rules import restore_rules
from answerable.flows.recovery.settle_open_intents import recover_from_ledger
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from answerable.testing.samples import OWNERSHIP, document
from tests.worlds.parts import to_govern, to_settle
from tests.worlds.walk import cited

HUGE = 2_000_000
"""A refund that policy denies whoever asks."""


def rule(name: str, watches: str, **spec: Any) -> dict[str, Any]:
    """A document; keys that hold no value are left out."""
    full = {"watches": watches, "ownership": {**OWNERSHIP}, **spec}
    return document("StopRule", name, {key: value for key, value in full.items() if value is not None})


def denied(limit: int = 3, **spec: Any) -> dict[str, Any]:
    return rule("denials", "denied_rate", **{"limit": limit, "within": "10m", **spec})


def retried(limit: int = 3, **spec: Any) -> dict[str, Any]:
    return rule("loops", "identical_retry", **{"limit": limit, "within": "10m", **spec})


async def ruled(*rules: dict[str, Any], documents: list[Any] | None = None, **parts: Any) -> Bench:
    """With one mandate of scout's and one of rover's, and all that their intents refer to in the log."""
    parts.setdefault("history", fresh(SqliteHistoryRegister))
    bench = await Bench(**parts).registered([*(documents or bench_documents()), *rules])
    await bench.issue("m-1", calls_max=100_000)
    await bench.issue("m-2", agent="rover", calls_max=100_000)
    await cited(bench, "get_case", "refund")
    await cited(bench, "get_case", "refund", mandate="m-2", agent="rover")
    return bench


def again(bench: Bench, *, forgetting: bool = False) -> Bench:
    """A new process over the same stores. forgetting: what was kept of counts is lost with the old one."""
    walk = bench.walk
    new = Bench(
        clock=bench.clock,
        ledger=walk.recorder.ledger,
        registry=walk.authority.registry,
        mandates=walk.authority.mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
        revocations=walk.authority.revocations,
        holds=walk.authority.tripped._register,
        history=fresh(SqliteHistoryRegister) if forgetting else walk.counters.history_register,
        limits=walk.limits,
        upstream=bench.upstream,
    )
    new.upstream = bench.upstream
    new.sequence = bench.sequence
    recover_from_ledger(*to_settle(new.walk))
    restore_rules(*to_settle(new.walk))
    return new


async def code_of(acting: Any) -> str:
    """How an action ended: the code of its refusal, or the status of its outcome."""
    try:
        answer = await acting
    except Refused as refused:
        return refused.code
    return answer.outcome.status if answer.outcome is not None else "deferred"


async def act_as(bench: Bench, instance: str, *, drifted: bool = False, case: str = "4711") -> Any:
    """A read by one instance of scout."""
    identity = CallerIdentity(instance=instance, source="unix", grade="kernel", drifted=drifted)
    action, caller = bench.request("get_case", {"case": case})
    caller = msgspec.structs.replace(caller, identity=identity, key=caller.binding)
    return await govern_action(*to_govern(bench.walk), action, caller)


def fired(bench: Bench) -> list[tuple[Any, ...]]:
    """What the log says of rules that fired."""
    return [
        (leaf["rule"], leaf["fired"], leaf["kind"], leaf["name"]) for leaf in bench.entries(Tag.RULE_FIRED)
    ]


class LogWithoutRoom:
    """A ledger that has no room at the first asking: every action waits for its place, some turns of the loop."""

    def __init__(self, ledger: Any, *, turns: int = 3) -> None:
        self._ledger, self._turns = ledger, turns
        self._waited: set[Any] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def submit(self, entry: Any) -> Any:
        task = asyncio.current_task()
        if task in self._waited:
            self._waited.discard(task)
        elif entry.tag in (Tag.REFUSAL, Tag.INTENT):
            raise Unavailable("no room", code="ledger.busy", port="ledger")
        return self._ledger.submit(entry)

    async def room(self, _entry: Any) -> None:
        for _ in range(self._turns):
            await asyncio.sleep(0)
        self._waited.add(asyncio.current_task())
