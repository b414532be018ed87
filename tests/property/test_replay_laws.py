"""Random ledgers, written by the real walk: every decision in them is derived again as it was recorded."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from answerable.core.mandate.caveat import ArgumentAtMost
from answerable.core.mandate.mandate import Grant
from answerable.errors import AnswerableError, Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.simulation import simulate
from answerable.verify.ledger_replay import replay_entries
from tests.probes.example_counts import examples
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.requirement("ANSWER-04")

NARROWED = """
@id("narrowed") @oblige("modify:amount<=4000; notify:privacy")
forbid (principal, action == Action::"crm.refund", resource)
when { context.arguments.amount > 4500 && context.arguments.amount < 4900 };
"""


async def wrote(seed: int) -> Bench:
    """A ledger of some 40 actions under several mandates and two policy sets."""
    chance = Random(seed)
    bench = await Bench().registered(bench_documents(POLICIES))
    await bench.issue("m-1", calls_max=12)
    bounded = Grant(capability="crm.refund", caveats=(ArgumentAtMost(name="amount", maximum=7_000),))
    await bench.issue("m-2", grants=(bounded,), agent="rover")
    for _ in range(40):
        choice = chance.random()
        mandate, agent = chance.choice([("m-1", "scout"), ("m-2", "rover"), ("m-1", "rover")])
        amount = chance.choice([1, 4_700, 4_899, 5_000, 5_001, 6_000, 45_000, 50_001, 1_000_001])
        with suppress(AnswerableError):
            if choice < 0.15:
                text = chance.choice([POLICIES, POLICIES + NARROWED])
                await apply_registry(*to_apply(bench.walk), bench_documents(text), by="operator")
            elif choice < 0.3:
                bench.clock.advance(chance.choice([1, 600]))
            elif choice < 0.5:
                await bench.act(mandate=mandate, agent=agent)
            else:
                waiting = (await bench.refund(amount, mandate=mandate, agent=agent)).approval
                if waiting is not None and chance.random() < 0.7:
                    await bench.answer(waiting, by="bob")
                    await bench.answer(waiting, by="carol")
                    await bench.refund(amount, mandate=mandate, agent=agent)
    return bench


@given(st.integers(0, 2**32))
@settings(max_examples=examples(25))
def test_replay_equals_decision_for_every_entry_of_a_random_ledger(seed: int) -> None:
    bench = asyncio.run(wrote(seed))
    for one in replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find):
        assert one.verdict in ("same", "not_asked"), (one.index, one.text)


def test_random_ledgers_have_decisions_of_every_kind() -> None:
    counts: Counter[str] = Counter()
    for seed in range(12):
        bench = asyncio.run(wrote(seed))
        for one in replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find):
            counts[f"{one.verdict} {one.recorded.effect}"] += 1
            counts["lifted"] += bool(one.recorded.lifted)
            counts[one.recorded.by[0] if one.recorded.by else ""] += 1
    for kind in ("same allow", "same deny", "same defer", "lifted", "mandate.caveat", "refund-never"):
        assert counts[kind] >= 3, counts


def test_a_gateway_that_does_not_do_what_its_policies_say_is_found_out() -> None:
    async def lied() -> Bench:
        bench = await Bench().registered()
        await bench.issue()
        inner = bench.walk.policies.decision_point

        class Lenient:
            policy_set, policy_statement = inner.policy_set, inner.policy_statement

            def decide(self, verified, facts):
                found = inner.decide(verified, facts)
                return structs.replace(found, effect="allow", requirements=())

            def for_registry(self, snapshot):
                return None

            def may_list(self, agent, capability):
                return True

        bench.walk.policies.decision_point = Lenient()
        with suppress(Refused):
            await bench.refund(9_000)
        return bench

    bench = asyncio.run(lied())
    found = list(replay_entries(bench.recorder.ledger.replay(), bench.recorder.subject_keys.find))
    assert [one.verdict for one in found] == ["differs"]


@pytest.mark.slow
def test_every_decision_of_a_walk_under_trouble_is_derived_again() -> None:
    """The simulation holds each ledger against it, with every other law."""
    for seed in range(9_100, 9_110):
        asyncio.run(simulate(seed))
