"""What another process wrote into shared registers holds here, too, and nothing that was written at once is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.cedar.decision_point import compiled
from answerable.adapters.sqlite import SqliteRegistryStore
from answerable.core.canonical import encode
from answerable.core.registry.parsing.parse import document_key
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.registry.follow_registers import follow_documents, follow_registers
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.fault_injection import Fault, Trouble, TroubledLedger
from answerable.testing.registers import elsewhere, fresh
from answerable.testing.samples import document
from tests.worlds.parts import to_apply

if TYPE_CHECKING:
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.ports.decision_point import DecisionPoint

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-08")]

NOTHING = '@id("none") @reason("closed for today") forbid (principal, action, resource);'


class Shared(SqliteRegistryStore):
    """A registry that another process writes to: what it wrote is seen after `refresh`."""

    news: dict[str, bytes] | None = None

    def refresh(self) -> bool:
        news, self.news = self.news, None
        if news is not None:
            SqliteRegistryStore(elsewhere(self._store)).put(news)
            self._store.refresh()
        return news is not None


def many(count: int) -> str:
    others = (
        f'@id("p{number}") forbid (principal == Agent::"a{number}", action, resource);\n'
        for number in range(count)
    )
    return NOTHING + "".join(others)


MANY = many(400)
"""Enough to be compiled beside the actions."""
ACTIONS = 25
PATIENCE_SECONDS = 60.0
"""How long a compilation waits for what never comes, so that a test fails and does not hang."""


class Patient:
    """A compiler that, where there are many policies, waits until it is told to go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.compiled: list[str] = []

    def __call__(self, policies: str, snapshot: RegistrySnapshot) -> DecisionPoint:
        if len(policies) > 20_000:
            self.begun.set()
            assert self.go_on.wait(PATIENCE_SECONDS), "nothing went on while this waited"
        self.compiled.append(policies)
        return compiled(policies, snapshot)


async def begun(compiler: Patient) -> None:
    assert await asyncio.to_thread(compiler.begun.wait, PATIENCE_SECONDS)
    compiler.begun.clear()


def stored(policies: str) -> dict[str, bytes]:
    return {document_key(one): encode(one) for one in bench_documents(policies)}


async def test_policies_that_another_process_applied_decide_here():
    registry = fresh(Shared)
    bench = await Bench(registry=registry).registered()
    await bench.issue()
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
        is False
    )
    assert (await bench.act()).outcome is not None
    registry.news = stored(NOTHING)
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
        is True
    )
    with pytest.raises(Refused) as told:
        await bench.act()
    assert "closed for today" in told.value.message


async def test_news_of_other_things_leave_the_policies_alone():
    bench = await Bench().registered()
    before = bench.walk.policies.decision_point
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            lambda: True,
        )
        is True
    )
    assert bench.walk.policies.decision_point is before


async def test_documents_that_would_not_have_been_applied_here_end_the_process():
    registry = fresh(Shared)
    bench = await Bench(registry=registry).registered()
    slow = document("Server", "crm", {"command": "crm-server", "callSecondsMax": 3_000})
    registry.news = {**stored(NOTHING), "Server/crm": encode(slow)}
    with pytest.raises(Malformed) as told:
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
    assert told.value.code == "registry.call_seconds"


async def test_documents_applied_elsewhere_meanwhile_are_not_overwritten():
    registry = fresh(Shared)
    bench = await Bench(registry=registry).registered()

    def plan(_number: int, method: str) -> Fault | None:
        if method == "ledger.submit":
            registry.news = stored(NOTHING)
            follow_registers(
                bench.authority.registry,
                bench.counters.history,
                bench.walk.policies,
                bench.walk.limits,
                registry.refresh,
            )
        return None

    bench.recorder.ledger = TroubledLedger(bench.recorder.ledger, Trouble(plan))
    with pytest.raises(Unavailable) as told:
        await apply_registry(
            *to_apply(bench.walk), [document("Principal", "eve", {"groups": ["sales"]})], by="operator"
        )
    assert told.value.code == "register.changed_meanwhile"
    assert registry.documents() == stored(NOTHING)


async def followed(policies: str) -> tuple[Bench, Shared, Patient, asyncio.Task[bool]]:
    """A walk whose registry another process has changed, while the new policies are being compiled."""
    registry, compiler = fresh(Shared), Patient()
    bench = await Bench(registry=registry).registered()
    await bench.issue(calls_max=1_000)
    bench.walk.policies.compile_policies = compiler
    registry.news = stored(policies)
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
        is True
    )
    following = asyncio.create_task(
        follow_documents(
            bench.authority.registry, bench.counters.history, bench.walk.policies, bench.walk.limits
        )
    )
    await begun(compiler)
    return bench, registry, compiler, following


@pytest.mark.requirement("PUB-10")
async def test_actions_go_on_while_ten_thousand_policies_of_another_process_are_compiled():
    bench, registry, compiler, following = await followed(many(10_000))
    before = bench.authority.registry.current.digest
    for _ in range(ACTIONS):
        assert (await bench.act()).outcome is not None
        assert (
            follow_registers(
                bench.authority.registry,
                bench.counters.history,
                bench.walk.policies,
                bench.walk.limits,
                registry.refresh,
            )
            is False
        )
    assert bench.authority.registry.current.digest == before
    compiler.go_on.set()
    assert await following is True
    assert bench.authority.registry.documents() == stored(many(10_000))
    with pytest.raises(Refused) as told:
        await bench.act()
    assert "closed for today" in told.value.message


@pytest.mark.requirement("PUB-10")
async def test_no_action_meets_documents_of_one_moment_and_policies_of_another():
    bench, _, compiler, following = await followed(MANY)
    seen = set()

    async def look() -> None:
        while not following.done():
            seen.add((bench.authority.registry.current.digest, bench.walk.policies.decision_point.policy_set))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.01)
    compiler.go_on.set()
    await following
    await looking
    seen.add((bench.authority.registry.current.digest, bench.walk.policies.decision_point.policy_set))
    assert len(seen) == 2, "before and after, and nothing between"


@pytest.mark.requirement("PUB-10")
async def test_later_documents_are_not_replaced_by_earlier_ones_that_took_longer():
    bench, registry, compiler, following = await followed(MANY)
    registry.news = stored(NOTHING)
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
        is True
    )
    assert bench.authority.registry.documents() == stored(NOTHING), "few policies are in force at once"
    compiler.go_on.set()
    assert await following is False
    assert bench.authority.registry.documents() == stored(NOTHING)
    assert (
        await follow_documents(
            bench.authority.registry, bench.counters.history, bench.walk.policies, bench.walk.limits
        )
        is False
    )


@pytest.mark.requirement("PUB-10")
async def test_what_comes_while_another_is_compiled_comes_into_force_after_it():
    bench, registry, compiler, following = await followed(MANY)
    later = MANY.replace("closed for today", "closed for ever")
    registry.news = stored(later)
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
        is True
    )
    compiler.go_on.set()
    assert await following is True
    assert bench.authority.registry.documents() == stored(MANY)
    assert (
        await follow_documents(
            bench.authority.registry, bench.counters.history, bench.walk.policies, bench.walk.limits
        )
        is True
    )
    assert bench.authority.registry.documents() == stored(later)


@pytest.mark.requirement("PUB-10")
async def test_documents_that_were_taken_back_meanwhile_do_not_come_into_force():
    bench, registry, compiler, following = await followed(MANY)
    before = bench.authority.registry.documents()
    registry.news = before
    assert (
        follow_registers(
            bench.authority.registry,
            bench.counters.history,
            bench.walk.policies,
            bench.walk.limits,
            registry.refresh,
        )
        is True
    )
    compiler.go_on.set()
    assert await following is False
    assert bench.authority.registry.documents() == before
    assert (await bench.act()).outcome is not None


@pytest.mark.requirement("PUB-10")
async def test_who_applies_here_while_those_of_another_process_are_compiled_has_to_look_again():
    _, registry, compiler, following = await followed(MANY)
    with pytest.raises(Unavailable) as told:
        registry.put(stored(NOTHING))
    assert told.value.code == "register.changed_meanwhile"
    compiler.go_on.set()
    assert await following is True
    assert registry.documents() == stored(MANY)
    registry.put(stored(NOTHING))
    assert registry.documents() == stored(NOTHING)


@pytest.mark.requirement("PUB-10")
async def test_many_policies_that_cannot_be_compiled_end_the_process():
    _, _, compiler, following = await followed(MANY + '@id("p1") permit (principal, action, resource);')
    compiler.go_on.set()
    with pytest.raises(Malformed) as told:
        await following
    assert told.value.code == "policy.invalid"
