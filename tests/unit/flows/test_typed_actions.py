"""Kinds of action and named arguments, through the whole walk and real Cedar."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from answerable.core.mandate.caveat import ArgumentAtMost, KindIn, ResourceIn
from answerable.core.mandate.mandate import Grant
from answerable.core.registry.documents.capability import ACTION_KINDS, ActionKind
from answerable.core.registry.parsing.active import faults_of
from answerable.errors import Refused
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.tool import described, describing

pytestmark = pytest.mark.anyio

NESTED = described(
    inputSchema={
        "type": "object",
        "properties": {
            "case": {"type": "string"},
            "query": {
                "type": "object",
                "properties": {
                    "customer": {"type": "string"},
                    "limit": {"type": "integer"},
                    "to": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"email": {"type": "string"}}},
                    },
                },
            },
        },
    }
)


def documents(policies: str, **spec: Any) -> list[Any]:
    found: list[Any] = bench_documents(policies)
    for one in found:
        if one["kind"] == "Capability" and one["spec"]["target"] == "get_case":
            one["spec"] |= spec
    return found


async def refused(bench: Bench, arguments: Any = None) -> str:
    with pytest.raises(Refused) as raised:
        await bench.act("get_case", arguments)
    return raised.value.code


@pytest.mark.requirement("TOOL-11")
@pytest.mark.parametrize("kind", ACTION_KINDS)
async def test_every_kind_is_decided_on_and_is_a_ceiling(kind: ActionKind):
    assert set(ACTION_KINDS) == set(get_args(ActionKind)) >= {"communicate", "egress", "delegate", "admin"}
    other = "read" if kind != "read" else "write"
    policies = f'@id("kind") permit (principal, action in Action::"{kind}", resource);'
    bench = await Bench().registered(documents(policies, kind=kind))
    await bench.issue()
    await bench.act()
    for kinds, code in (((kind,), ""), ((other,), "mandate.beyond")):
        name = f"m-{kinds[0]}"
        await bench.issue(name, grants=(Grant(capability="crm.read", caveats=(KindIn(kinds=kinds),)),))
        if not code:
            await bench.act(mandate=name)
        else:
            with pytest.raises(Refused):
                await bench.act(mandate=name)


@pytest.mark.requirement("TOOL-11")
def test_no_capability_is_called_like_a_kind():
    found: list[Any] = documents("")
    for one in found:
        if one["kind"] == "Capability":
            one["metadata"]["name"] = "egress"
            break
    assert "capability.name" in {fault.code for fault in faults_of(found)}


MAPPED: dict[str, Any] = {
    "resource": {"type": "Customer", "argument": "customer"},
    "subject": {"type": "Customer", "argument": "customer"},
    "destination": {"type": "email", "arguments": ["mails"]},
    "arguments": [
        {"name": "customer", "type": "string", "pointer": "/query/customer", "required": True},
        {"name": "limit", "type": "integer", "pointer": "/query/limit"},
        {"name": "mails", "type": "string_set", "pointer": "/query/to/*/email"},
    ],
}
POLICIES = """
@id("one") permit (principal, action == Action::"crm.read", resource == Customer::"c-1");
@id("limit") forbid (principal, action == Action::"crm.read", resource)
  when { context.arguments has limit && context.arguments.limit > 10 };
"""


async def mapped_bench(grants: Any = None) -> Bench:
    bench = Bench()
    upstream = describing(bench, get_case=NESTED)
    upstream.takes_anything = True
    await bench.registered(documents(POLICIES, **MAPPED))
    await bench.issue(grants=grants or (Grant(capability="crm.read"),))
    return bench


def query(**members: Any) -> Any:
    sent = {"customer": "c-1", "limit": 5, "to": [{"email": "a@x.example"}], **members}
    return {"case": "4711", "query": sent}


@pytest.mark.requirement("TOOL-12")
async def test_a_named_argument_counts_for_policy_resource_subject_destination_and_mandate():
    bench = await mapped_bench()
    await bench.act("get_case", query())
    assert await refused(bench, query(customer="c-2")) == "policy.default_deny"
    assert await refused(bench, query(limit=11)) == "limit"
    assert await refused(bench, query(to=[{"email": "a@x.example"}, {"name": "b"}])) == "destination.unknown"
    (intent,) = bench.upstream.effects
    assert intent.arguments == query()
    grant = Grant(
        capability="crm.read",
        caveats=(ArgumentAtMost(name="limit", maximum=4), ResourceIn(ids=("c-1",))),
    )
    narrow = await mapped_bench((grant,))
    assert (await refused(narrow, query(limit=5))).startswith("mandate.")
    await narrow.act("get_case", query(limit=4))


@pytest.mark.requirement("TOOL-12")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (query(customer=7.5), "resource.unknown"),
        ({"case": "4711"}, "resource.unknown"),
        ({"case": "4711", "query": "c-1"}, "resource.unknown"),
        (query(limit="5"), "arguments.unmappable"),
    ],
)
async def test_what_does_not_fit_its_name_refuses(sent, code):
    bench = await mapped_bench()
    found = await refused(bench, sent)
    assert found == code or found.startswith("policy.")


@pytest.mark.requirement("TOOL-13")
async def test_a_tool_that_does_not_have_what_its_capability_declares_is_blocked():
    bench = Bench()
    describing(bench, get_case=described())
    await bench.registered(
        documents(
            '@id("read") permit (principal, action == Action::"crm.read", resource);',
            arguments=[{"name": "case", "type": "integer"}],
        )
    )
    await bench.issue()
    assert await refused(bench) == "tool.mapping"
