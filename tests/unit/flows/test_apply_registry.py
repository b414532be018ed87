"""Applying documents: checked whole, recorded before it counts, documents and policies swapped together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.cedar import compiled
from answerable.core.ledger.tags import Tag
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.registry.apply_registry import apply_registry, planned, policy_text
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.testing.fault_injection import Crash, Trouble, TroubledLedger, TroubledRegistry
from answerable.testing.samples import document
from tests.worlds.parts import to_apply
from tests.worlds.walk import fields_of

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.testing.fault_injection import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("WALK-14")]

STOP = POLICIES + '@id("stop") @reason("all is stopped") forbid (principal, action, resource);\n'


def fits(bench: Bench) -> bool:
    """Whether the policies in force are those of the registry in force, checked against it."""
    current = bench.authority.registry.current
    return compiled(policy_text(current), current).policy_set == bench.walk.policies.decision_point.policy_set


async def test_what_was_applied_is_in_force_and_recorded_with_what_changed():
    bench = await Bench().registered()
    await bench.issue()
    before = bench.authority.registry.current.digest
    applied = await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice")
    assert [(change.key, change.how) for change in applied.changes] == [("PolicySet/house", "changed")]
    assert (applied.before, applied.after) == (before, bench.authority.registry.current.digest)
    entry = bench.entries(Tag.REGISTRY_CHANGE)[-1]
    fields = fields_of(bench, Tag.REGISTRY_CHANGE)[-1]
    assert (entry["before"], entry["after"], fields["by"]) == (applied.before, applied.after, "alice")
    assert isinstance(fields["changes"], dict)
    assert list(fields["changes"]) == ["PolicySet/house"]
    assert bench.entries(Tag.POLICY_CHANGE)[-1]["after"] == bench.walk.policies.decision_point.policy_set
    with pytest.raises(Refused, match="all is stopped"):
        await bench.act()


async def test_the_same_documents_again_change_and_record_nothing():
    bench = await Bench().registered()
    size = bench.recorder.ledger.size
    applied = await apply_registry(*to_apply(bench.walk), bench_documents(), by="alice")
    assert not applied.changes
    assert bench.recorder.ledger.size == size


async def test_a_dry_run_says_the_same_and_changes_nothing():
    bench = await Bench().registered()
    size, documents = bench.recorder.ledger.size, bench.authority.registry.documents()
    dry = await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice", dry_run=True)
    assert (bench.recorder.ledger.size, bench.authority.registry.documents()) == (size, documents)
    assert dry == await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice")


@pytest.mark.requirement("PARTS-03")
async def test_a_name_that_another_policy_set_has_keeps_all_that_is_applied_out():
    bench = await Bench().registered()
    factor = {"name": "final", "points": 10, "fact": "irreversible"}
    policies = '@id("{0}")\nforbid (principal, action, resource) when {{ context.agent.drifted }};\n'
    first: JSONValue = document(
        "PolicySet", "first", {"policies": policies.format("first"), "risk": [factor]}
    )
    await apply_registry(*to_apply(bench.walk), [first], by="alice")
    size, stored = bench.recorder.ledger.size, bench.authority.registry.documents()
    second: JSONValue = document(
        "PolicySet", "second", {"policies": policies.format("second"), "risk": [factor]}
    )
    with pytest.raises(Malformed, match="factor `final` is also declared by PolicySet `first`"):
        await apply_registry(*to_apply(bench.walk), [second, document("Principal", "eve", {})], by="alice")
    assert (bench.recorder.ledger.size, bench.authority.registry.documents()) == (size, stored)
    assert [one.name for one in bench.authority.registry.current.parts.risk] == ["final"]


async def test_documents_are_added_beside_and_with_prune_instead():
    bench = await Bench().registered()
    eve: JSONValue = document("Principal", "eve", {})
    assert [c.how for c in (await apply_registry(*to_apply(bench.walk), [eve], by="alice")).changes] == [
        "added"
    ]
    assert "eve" in bench.authority.registry.current.principals
    changes = (await apply_registry(*to_apply(bench.walk), bench_documents(), by="alice", prune=True)).changes
    assert [(change.key, change.how) for change in changes] == [("Principal/eve", "removed")]
    assert not bench.entries(Tag.POLICY_CHANGE)[2:], "the policies did not change"


@pytest.mark.parametrize(
    ("documents", "code", "told"),
    [
        ([{"kind": "Nothing"}], "registry.faults", "Nothing"),
        ([document("Principal", "x", {"grups": []})], "registry.faults", "grups"),
        ([document("Agent", "y", {"useCase": "none", "environment": "e"})], "registry.faults", "none"),
        (bench_documents("permit ("), "policy.syntax", "line 1"),
        (
            [document("Server", "slow", {"command": "x", "callSecondsMax": 121})],
            "registry.call_seconds",
            "121 s",
        ),
        (bench_documents("permit (principal, action, resource);"), "policy.invalid", "@id"),
        (
            bench_documents('@id("x") forbid (principal, action == Action::"crm.fly", resource);'),
            "policy.invalid",
            "crm.fly",
        ),
    ],
    ids=["kind", "unknown key", "missing reference", "syntax", "slow server", "no id", "unknown capability"],
)
async def test_with_a_fault_nothing_changes(documents: list[JSONValue], code: str, told: str):
    bench = await Bench().registered()
    await bench.issue()
    state = (
        bench.recorder.ledger.size,
        bench.authority.registry.documents(),
        bench.walk.policies.decision_point,
    )
    with pytest.raises(Malformed) as fault:
        await apply_registry(*to_apply(bench.walk), documents, by="alice")
    assert fault.value.code == code
    assert told in fault.value.message
    assert (
        bench.recorder.ledger.size,
        bench.authority.registry.documents(),
        bench.walk.policies.decision_point,
    ) == state
    assert (await bench.act()).outcome is not None


async def test_what_lacks_an_owner_is_registered_and_told_to_be_inactive():
    bench = await Bench().registered()
    plan = planned(
        bench.authority.registry,
        bench.walk.policies,
        bench.walk.drills,
        bench.walk.limits,
        bench.clock,
        [document("UseCase", "new", {"purpose": "more"})],
    )
    assert [(one.kind, one.name) for one in plan.applied.inactive] == [("UseCase", "new")]


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("fault", ["full", "undone", "done", "crash_before", "crash_after"])
async def test_what_is_not_recorded_whole_is_not_in_force(fault: Fault, at: int):
    bench = await Bench().registered()
    await bench.issue()
    numbers = iter(range(10))
    raw = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        raw, Trouble(lambda _n, method: fault if "submit" in method and next(numbers) == at else None)
    )
    documents = bench.authority.registry.documents()
    with pytest.raises((Unavailable, Crash)):
        await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice")
    assert bench.authority.registry.documents() == documents
    assert fits(bench)
    bench.recorder.ledger = raw
    assert (await bench.act()).outcome is not None
    await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice")
    with pytest.raises(Refused):
        await bench.act()


@pytest.mark.parametrize("fault", ["undone", "done"])
async def test_a_store_that_fails_never_parts_policies_from_documents(fault: Fault):
    bench = await Bench().registered()
    raw = bench.authority.registry
    bench.authority.registry = TroubledRegistry(raw, Trouble(lambda _n, _m: fault))
    with pytest.raises(Unavailable):
        await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice")
    assert fits(bench)
    bench.authority.registry = raw
    await apply_registry(*to_apply(bench.walk), bench_documents(STOP), by="alice")
    assert fits(bench)
    assert "stop" in policy_text(raw.current)


async def test_two_who_apply_together_lose_nothing_of_each_other():
    bench = await Bench().registered()
    people = [document("Principal", name, {}) for name in ("eve", "fay", "gus")]
    await asyncio.gather(*(apply_registry(*to_apply(bench.walk), [one], by="alice") for one in people))
    assert {"eve", "fay", "gus"} <= set(bench.authority.registry.current.principals)
    changes = bench.entries(Tag.REGISTRY_CHANGE)[-3:]
    assert [c["before"] for c in changes[1:]] == [c["after"] for c in changes[:-1]], "one chain of digests"


async def test_while_documents_and_policies_swap_no_action_sees_the_one_without_the_other():
    bench = await Bench().registered()
    await bench.issue(calls_max=1000)
    variants = []
    for round_ in range(6):
        documents = bench_documents(POLICIES + f'@id("round-{round_}") permit (principal, action, resource);')
        for one in documents:
            assert isinstance(one, dict)
            if one["kind"] == "Capability":
                assert isinstance(one["spec"], dict)
                one["spec"]["tier"] = round_ % 4
        variants.append(documents)

    async def agent() -> list[str]:
        codes = []
        for _ in range(20):
            try:
                await bench.act()
            except Refused as refused:
                codes.append(refused.code)
            await asyncio.sleep(0)
        return codes

    async def operator() -> None:
        for documents in variants:
            await apply_registry(*to_apply(bench.walk), documents, by="alice")
            assert fits(bench)

    *codes, _ = await asyncio.gather(*(agent() for _ in range(10)), operator())
    assert not [code for some in codes for code in some or []]


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_server_that_may_take_longer_than_settling_waits_is_not_applied(dry_run: bool):
    bench = await Bench().registered()
    size, digest = bench.recorder.ledger.size, bench.authority.registry.current.digest
    longest = bench.walk.limits.upstream_ms_max // 1000
    slow: JSONValue = document("Server", "slow", {"command": "sh", "callSecondsMax": longest + 1})
    with pytest.raises(Malformed, match="`slow` may take") as refused:
        await apply_registry(*to_apply(bench.walk), [slow], by="alice", dry_run=dry_run)
    assert refused.value.code == "registry.call_seconds"
    assert (bench.recorder.ledger.size, bench.authority.registry.current.digest) == (size, digest)
    just: JSONValue = document("Server", "slow", {"command": "sh", "callSecondsMax": longest})
    assert (await apply_registry(*to_apply(bench.walk), [just], by="alice", dry_run=dry_run)).changes
