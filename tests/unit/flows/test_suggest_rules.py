"""Narrower standing rules out of what people approved again and again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.cedar import compiled
from answerable.core.action.outcome import Outcome
from answerable.core.approval.standing_rule import exception_from, with_exception
from answerable.core.containment.hold import HoldTarget
from answerable.core.registry.documents.capability import ArgumentMapping
from answerable.errors import Malformed, Refused
from answerable.flows.approval.send_attention_check import asked_canary
from answerable.flows.approval.suggest_rules import suggest_rules
from answerable.flows.policy.simulate_policy import simulate_policy
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.builders import POLICIES, Bench, bench_documents
from tests.worlds.click import clicking
from tests.worlds.hold import stop
from tests.worlds.parts import to_apply, to_govern, to_simulate

pytestmark = pytest.mark.anyio
EXCEPTION = pytest.mark.requirement("OVERSIGHT-09")
NO = pytest.mark.requirement("OVERSIGHT-10")


def documents(tier=2):
    """Those of the bench, with refunds of this tier."""
    made = bench_documents(POLICIES)
    for one in made:
        if one["metadata"]["name"] == "crm.refund":
            one["spec"]["tier"] = tier
    return made


async def ready(tier=2, **parts):
    bench = await Bench(**parts).registered(documents(tier))
    await bench.issue("m-1", calls_max=1_000, seconds=80_000)
    return bench


async def approved(bench, *amounts, seconds=30, by="bob", case="4711", run=True):
    """Refunds that people approve after some seconds, and that run."""
    for amount in amounts:
        arguments = {"case": case, "amount": amount}
        asked = (await bench.act("refund", arguments)).approval
        bench.clock.advance(seconds)
        await bench.answer(asked, by=by)
        if run:
            await bench.act("refund", arguments)


async def suggested(bench, approved_min=3):
    return (
        await suggest_rules(
            bench.recorder, bench.authority.registry, bench.asking.figures, approved_min=approved_min
        )
    ).rules


@EXCEPTION
async def test_what_was_approved_again_and_again_is_suggested_and_no_wider():
    bench = await ready()
    await approved(bench, 6_000, 7_000, 6_500)
    (one,) = await suggested(bench)
    assert (one.of.agent, one.of.capability, one.of.rule) == ("scout", "crm.refund", "refund-large")
    assert (one.approved, one.people, one.why_not) == (3, 1, "")
    assert all(bench.opened(index)[0]["approval"] for index in one.entries)
    await apply_registry(*to_apply(bench.walk), [one.document], by="operator")
    for amount in (6_000, 6_999, 7_000):
        assert (await bench.refund(amount)).outcome is not None, "like what was approved"
    for amount in (5_999, 7_001, 60_000):
        assert (await bench.refund(amount)).approval is not None, "beyond it"
    assert (await bench.act("refund", {"case": "4712", "amount": 6_500})).approval is not None
    with pytest.raises(Refused):
        await bench.refund(2_000_000)


@EXCEPTION
async def test_another_agent_is_asked_about_as_before():
    bench = await ready()
    await approved(bench, 6_000, 7_000, 6_500)
    (one,) = await suggested(bench)
    await apply_registry(*to_apply(bench.walk), [one.document], by="operator")
    await bench.issue("m-2", agent="rover")
    assert (await bench.refund(6_500, mandate="m-2", agent="rover")).approval is not None


@EXCEPTION
async def test_it_ends_by_itself():
    bench = await ready()
    await approved(bench, 6_000, 6_000)
    (one,) = (
        await suggest_rules(
            bench.recorder, bench.authority.registry, bench.asking.figures, approved_min=2, days=1
        )
    ).rules
    await apply_registry(*to_apply(bench.walk), [one.document], by="operator")
    assert (await bench.refund(6_000)).outcome is not None
    bench.clock.advance(86_400 + 1)
    await bench.issue("m-9")
    assert (await bench.refund(6_000, mandate="m-9")).approval is not None


@EXCEPTION
async def test_nothing_is_in_force_by_suggesting_and_a_simulation_shows_what_would_be():
    bench = await ready()
    await approved(bench, 6_000, 6_100, 6_200)
    before = bench.recorder.ledger.size, bench.walk.policies.decision_point.policy_set
    (one,) = await suggested(bench)
    found = await simulate_policy(*to_simulate(bench.walk), [one.document])
    assert found.tally.changes == {"defer→allow": 3}
    assert (found.questions.before.count, found.questions.after.count) == (3, 0)
    assert (bench.recorder.ledger.size, bench.walk.policies.decision_point.policy_set) == before


@NO
@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("critical", "critical"),
        ("denied", "not all were approved"),
        ("unanswered", "not all were approved"),
        ("failed", "failed"),
        ("fast", "less than 3 s"),
        ("missed", "let a test through"),
        ("held", "stopped"),
    ],
)
async def test_what_speaks_against_it_is_said_and_nothing_is_suggested(how, why):
    bench = await ready(
        tier=3 if how == "critical" else 2, limits=WalkLimits(canaries_per_day=1 if how == "missed" else 0)
    )
    await approved(bench, 6_000, 6_100, 6_200, seconds=1 if how == "fast" else 30)
    if how == "denied":
        await bench.answer((await bench.refund(6_300)).approval, verdict="deny")
    if how == "unanswered":
        await bench.refund(6_300)
        bench.clock.advance(bench.walk.limits.approval_ttl_ms / 1000)
    if how == "failed":
        bench.upstream.answer = lambda _: Outcome(status="failed", detail="no")
        await approved(bench, 6_300)
    if how == "missed":
        _, pattern = bench.asking.canaries.patterns[-1]
        await bench.answer(await asked_canary(*to_govern(bench.walk), pattern, bench.clock.now()))
    if how == "held":
        await stop(bench, HoldTarget(kind="agent", name="scout"))
    (one,) = await suggested(bench)
    assert one.document is None
    assert why in one.why_not


@NO
@pytest.mark.parametrize("by_click", [True, False])
async def test_what_nobody_signed_is_no_evidence_for_a_rule_that_asks_nobody(by_click):
    async with clicking() as world:
        bench = world.bench
        for amount in (6_000, 6_100, 6_200):
            asked = await world.asked(amount)
            bench.clock.advance(30)
            await (world.press() if by_click else bench.answer(asked))
            assert world.now(asked).state == "approved"
            assert (await bench.refund(amount)).outcome is not None
    (one,) = await suggested(bench)
    assert (one.document is None) is by_click
    assert ("is unsigned" in one.why_not) is by_click


@NO
async def test_too_few_are_not_even_spoken_of():
    bench = await ready()
    await approved(bench, 6_000, 6_100)
    assert await suggested(bench, approved_min=3) == ()


@NO
@pytest.mark.parametrize(("days", "least"), [(0, 3), (91, 3), (30, 1)])
async def test_a_rule_without_an_end_or_without_evidence_is_none(days, least):
    bench = await ready()
    with pytest.raises(Malformed) as fault:
        await suggest_rules(
            bench.recorder, bench.authority.registry, bench.asking.figures, approved_min=least, days=days
        )
    assert fault.value.code == "standing_rule.days"


# --- the text --------------------------------------------------------------------------------------------------------


def shown(arguments, **other):
    """An action object as people saw it."""
    return {
        "agent": "scout", "capability": "crm.refund", "use_case": "support", "chain": [],
        "resource": {"type": "Case", "id": "4711"}, "arguments": arguments, **other,
    }  # fmt: skip


async def capability(*arguments):
    found = (await ready()).walk.authority.registry.current.capabilities["crm.refund"]
    return (
        replace(found, arguments=tuple(ArgumentMapping(**one) for one in arguments)) if arguments else found
    )


@NO
@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([shown({"case": "4711", "amount": 5}, chain=["rover"])], "other agents"),
        ([shown({"case": "4711", "amount": 5}, prepared={"digest": "ab"})], "prepared"),
        ([shown({"case": "4711", "amount": 5, "memo": "x"})], "does not see"),
        ([shown({"case": f"{n}", "amount": 5}) for n in range(11)], "different values"),
        ([shown({"case": "47\u202e11", "amount": 5})], "cannot be written"),
        (
            [shown({"case": "4711", "amount": 5}), shown({"case": "4711", "amount": 5}, agent="rover")],
            "agent",
        ),
        ([], "nothing"),
    ],
)
async def test_what_cannot_be_bounded_is_no_rule(objects, why):
    with pytest.raises(Malformed) as fault:
        exception_from(objects, await capability(), until=1)
    assert fault.value.code == "standing_rule.unbounded"
    assert why in fault.value.message


@EXCEPTION
async def test_each_kind_of_argument_is_bounded_by_what_was_seen():
    kinds = await capability(
        {"name": "case", "type": "string", "required": True},
        {"name": "amount", "type": "integer"},
        {"name": "urgent", "type": "boolean"},
        {"name": "tags", "type": "string_set"},
        {"name": "note", "type": "string"},
    )
    objects = [
        shown({"case": 'a"b', "amount": 3, "urgent": True, "tags": ["x", "y"]}),
        shown({"case": "c\\d", "amount": 9, "urgent": True}),
    ]
    said = exception_from(objects, kinds, until=5).condition
    assert '["a\\"b", "c\\\\d"].contains(context.arguments.case)' in said
    assert (
        "context.arguments has amount && (context.arguments.amount >= 3 && context.arguments.amount <= 9)"
        in said
    )
    assert "context.arguments has urgent && (context.arguments.urgent == true)" in said
    assert '(!(context.arguments has tags) || ["x", "y"].containsAll(context.arguments.tags))' in said
    assert "!(context.arguments has note)" in said
    assert said.endswith("context.now < 5")


@EXCEPTION
def test_only_the_one_forbid_of_that_id_gets_the_exception():
    text = (
        '// @id("big") forbid (principal, action, resource);\n'
        '@id("big") @reason("a;b") forbid (principal, action, resource) when { context.now > 1 };\n'
        '@id("other") forbid (principal, action, resource);\n'
    )
    made = with_exception(text, "big", "true", why="why\nforbid; } ")
    assert made.count("unless") == 1
    assert made.index("unless") < made.index('@id("other")')
    assert made.startswith(text[: text.index(" when")])
    for rule in ("none", "permit"):
        with pytest.raises(Malformed) as fault:
            with_exception(text + '@id("permit") permit (principal, action, resource);', rule, "true", why="")
        assert fault.value.code == "standing_rule.rule"
    with pytest.raises(Malformed):
        with_exception(text + text, "big", "true", why="")


@EXCEPTION
async def test_what_is_suggested_is_a_policy_set_that_compiles():
    bench = await ready()
    await approved(bench, 6_000, 6_100, 6_200, run=False)
    (one,) = await suggested(bench)
    assert compiled(one.document["spec"]["policies"], bench.authority.registry.current).policy_set
