"""A story under obligations, with every single fault at every call of every port: none of them is ever lost."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from answerable.adapters.sqlite import SqliteRegistryStore
from answerable.core.action.outcome import Outcome
from answerable.core.ledger.tags import Tag
from answerable.flows.recovery.settle_open_intents import settle_open_intents
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Fault, faults_of
from answerable.testing.registers import fresh
from tests.simulation.test_fault_scripts import Script, Stage
from tests.worlds.obligation import NARROW, PERMIT, SECRET, obliging
from tests.worlds.parts import to_settle

POLICIES = "".join(
    (
        PERMIT,
        NARROW,
        obliging("redact:/email; notify:privacy", name="hide"),
        obliging("log:digest", when="context.arguments.amount == 777", name="quiet"),
    )
)
QUIET = 777


async def _issue(bench: Bench) -> None:
    await bench.issue(calls_max=9)


async def _wide(bench: Bench) -> None:
    assert SECRET not in repr(await bench.refund(9000))


async def _quiet(bench: Bench) -> None:
    assert SECRET not in repr(await bench.refund(QUIET))


async def _settle(bench: Bench) -> None:
    bench.clock.advance(200)
    await settle_open_intents(*to_settle(bench.walk))


STORY = (_issue, _issue, _wide, _quiet, _settle, _wide, _settle)


@cache
def registry() -> SqliteRegistryStore:
    made = fresh(SqliteRegistryStore)
    asyncio.run(Bench(registry=made).registered(bench_documents(POLICIES)))
    return made


def staged(script: Script) -> Stage:
    """The story played with these faults, by the laws of the walk."""
    said = {"content": [], "structuredContent": {"email": SECRET, "note": f"mail {SECRET}"}}
    stage = Stage(
        script,
        story=STORY,
        registry=registry(),
        answer=lambda _: Outcome(status="succeeded", detail=f"told `{SECRET}`", result={**said}),
    )
    asyncio.run(stage.play())
    return stage


def faults() -> list[tuple[int, Fault]]:
    stage = staged({})
    assert len(stage.effects) == 3
    return [
        (at, fault)
        for at, method in enumerate([*stage.calls, *["ledger.submit"] * 4])
        for fault in faults_of(method)
    ]


@pytest.mark.requirement("OBL-07")
def test_no_fault_loses_an_obligation_between_decision_and_answer():
    for at, fault in faults():
        stage = staged({at: fault})
        assert stage.last is not None
        for effect in stage.effects:
            assert effect.arguments.get("amount", 0) <= 5000, f"{fault} at call {at}"
        for stored in stage.entries:
            leaf, fields = stage.last.opened(stored.index)
            assert SECRET not in f"{leaf} {fields}", f"{fault} at call {at}"
            if stored.tag != Tag.INTENT:
                continue
            assert "redact:/email" in fields["obligations"]
            assert "redact" in leaf["decision"]["obligations"]
            quiet = "log:digest" in fields["obligations"]
            assert ("action" in fields) is not quiet
            assert str(QUIET) not in str(fields) or not quiet
            assert not fields.get("asked") or leaf["narrowed"] == ["modify", "notify", "redact"]
