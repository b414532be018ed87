"""Why it was no, and the smallest change that would have allowed it: asked, and not guessed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from answerable.core.mandate.authority import Authority
from answerable.core.mandate.caveat import ArgumentAtMost, ResourceIn
from answerable.core.mandate.constraint import Max
from answerable.core.mandate.mandate import Grant
from answerable.errors import Refused
from answerable.testing.builders import POLICIES, Bench, bench_documents
from answerable.verify.denial import explain
from tests.unit.verify.test_decision_replay import decisions
from tests.worlds.question import in_version_1
from tests.worlds.tool import described, describing

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.verify.denial import Explained

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("ANSWER-05")]

READ = '@id("read") permit (principal, action == Action::"crm.read", resource);\n'


async def ready(
    policies: str = POLICIES, parts: dict[str, JSONValue] | None = None, **terms: object
) -> Bench:
    documents = bench_documents(policies)
    for document in documents:
        if isinstance(document, dict) and document["kind"] == "PolicySet":
            assert isinstance(document["spec"], dict)
            document["spec"].update(parts or {})
    bench = await Bench().registered(documents)
    await bench.issue(**terms)
    return bench


async def told(bench: Bench, amount: int = 0) -> Explained:
    """Of the last entry, after a refund or a read that was not allowed at once."""
    with suppress(Refused):
        await (bench.refund(amount) if amount else bench.act())
    entries, statements = decisions(bench)
    last = entries[-1]
    return explain(last, policies=statements.policy_set(last.leaf), mandate=statements.mandate(last.leaf))


async def test_of_a_deferral_the_people_who_may_approve_are_told_first():
    found = await told(await ready(), 6_000)
    assert found.effect == "defer"
    assert found.reasons == ("refund-large: refunds above 5000 wait for an approver",)
    assert found.changes[:2] == (
        "once 1 of group approvers had approved it",
        "with argument `amount` at `5000`",
    )


async def test_of_a_final_no_the_bound_that_was_passed_is_told_and_who_must_still_approve():
    found = await told(await ready(), 2_000_000)
    assert found.effect == "deny"
    assert "refund-never: nobody refunds more than 1000000" in found.reasons
    assert (
        "with argument `amount` at `1000000`, and once 2 of group approvers had approved it" in found.changes
    )


@pytest.mark.parametrize(
    ("grant", "amount", "change"),
    [
        (
            Grant(capability="crm.refund", caveats=(ArgumentAtMost(name="amount", maximum=300),)),
            400,
            "with argument `amount` at `300`",
        ),
        (
            Grant(capability="crm.refund", caveats=(ResourceIn(ids=("4712", "4713")),)),
            400,
            "on case `4712`",
        ),
        (Grant(capability="crm.read"), 400, "under a mandate that also grants `crm.refund`"),
    ],
)
async def test_of_a_mandates_no_what_it_does_cover_is_told(grant, amount, change):
    found = await told(await ready(grants=(grant,)), amount)
    assert change in found.changes


async def test_a_spent_mandate_and_an_ended_one_are_told_so():
    bench = await ready(calls_max=1)
    await bench.act()
    assert "of which a call is left" in (await told(bench)).changes[0]
    bench = await ready(seconds=60)
    bench.clock.advance(120)
    found = await told(bench)
    assert found.reasons[0].startswith("mandate.expired")
    assert "before the mandate ended" in found.changes[0]


async def test_the_end_of_a_window_is_told_with_its_time():
    freeze: JSONValue = {"name": "freeze", "startsAt": "00:00", "stopsAt": "23:59"}
    frozen = READ + '@id("frozen") forbid (principal, action, resource) when { context.windows.freeze };\n'
    bench = await ready(frozen, {"windows": [freeze]}, seconds=48 * 3600)
    found = await told(bench)
    assert any("after the end of window `freeze`, from " in one for one in found.changes), found


async def test_of_a_default_no_the_conditions_of_the_permits_are_looked_at():
    only = READ.replace(";", " when { context.task.calls_used < 0 };")
    found = await told(await ready(only))
    assert found.changes == ("under a mandate with `calls_used` at `-1`",)


async def test_where_nothing_would_have_helped_that_is_said():
    found = await told(await ready(READ + '@id("no") forbid (principal, action, resource);\n'))
    assert found.changes == ()
    assert "no single fact" in found.text


async def test_two_changes_are_looked_for_where_no_single_one_helps():
    two = READ + (
        '@id("one") forbid (principal, action, resource) when { context.chain.depth < 1 };\n'
        '@id("two") forbid (principal, action, resource) when { context.agent.tier < 99 };\n'
    )
    found = await told(await ready(two))
    assert len(found.changes) >= 1
    assert ", and " in found.changes[0]


async def test_no_change_is_told_that_what_was_handed_on_does_not_allow():
    bench = await ready()
    await told(bench, 2_000_000)
    (entry,), statements = decisions(bench)
    policies, mandate = statements.policy_set(entry.leaf), statements.mandate(entry.leaf)
    bounded = Authority(
        scopes=("crm.refund",), constraints=(Max(key="argument:crm.refund:amount", bound=40_000),)
    )
    found = explain(entry, policies=policies, mandate=mandate, hops=(bounded,))
    assert "with argument `amount` at `5000`" in found.changes
    assert not any("1000000" in one or "50000`" in one for one in found.changes)
    assert entry.fields is not None
    question = in_version_1(entry.fields["question"])
    question["rule"], question["context"]["chain"]["depth"] = "delegation.ceiling_exceeded", 1
    by_hop = structs.replace(entry, fields={**entry.fields, "question": json.dumps(question).encode()})
    hidden = explain(by_hop, policies=policies, mandate=mandate, hops=None)
    assert (hidden.changes, "handed on" in hidden.text) == ((), True)


@pytest.mark.requirement("SAME-01")
@pytest.mark.parametrize(
    ("condition", "change"),
    [
        ('context.arguments.note == "thief"', "with argument `note` at another value than `thief`"),
        ('["thief", "crook"].contains(context.arguments.note)', "at another value than `thief`"),
        ('context.arguments.note like "*hie*"', "with argument `note` at another value than `thief`"),
        ('context.arguments.note != "friend"', "with argument `note` at `friend`"),
        ('context.arguments.tags.contains("urgent")', "without `urgent` in argument `tags`"),
        ('!context.arguments.tags.contains("checked")', "with `checked` in argument `tags`"),
        ('context.arguments.case == "4711"', "with argument `case` at another value than `4711`"),
    ],
)
async def test_of_a_plain_forbid_on_an_argument_another_value_is_told_where_it_would_help(condition, change):
    documents = bench_documents(
        POLICIES
        + f'@id("no") forbid (principal, action == Action::"crm.refund", resource) when {{ {condition} }};'
    )
    for document in documents:
        match document:
            case {"metadata": {"name": "crm.refund"}, "spec": {"arguments": list(arguments)}}:
                arguments += [
                    {"name": "note", "type": "string", "required": True},
                    {"name": "tags", "type": "string_set", "required": True},
                ]
    texts: dict[str, JSONValue] = {"type": "array", "items": {"type": "string"}}
    taken = {
        "case": {"type": "string"},
        "amount": {"type": "integer"},
        "note": {"type": "string"},
        "tags": texts,
    }
    bench = Bench()
    schema: JSONValue = {"type": "object", "properties": {**taken}, "required": [*taken]}
    describing(bench, refund=described("refund", inputSchema=schema)).takes_anything = True
    await bench.registered(documents)
    await bench.issue()
    with suppress(Refused):
        await bench.act("refund", {"case": "4711", "amount": 5, "note": "thief", "tags": ["urgent"]})
    (entry,), statements = decisions(bench)
    found = explain(entry, policies=statements.policy_set(entry.leaf), mandate=statements.mandate(entry.leaf))
    assert found.effect == "deny"
    assert any(change in one for one in found.changes), found
