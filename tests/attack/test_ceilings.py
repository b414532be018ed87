"""What an agent may do at all, whoever gives or hands on more to it."""

from __future__ import annotations

import pytest

from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import Grant
from answerable.errors import Malformed, Refused
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.walk.list_capabilities import list_capabilities
from answerable.testing.builders import Bench, bench_documents
from tests.worlds.delegation_lineage import asked, believing, chain_of, mandated
from tests.worlds.parts import to_govern, to_list

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("LINE-05")]


def with_ceiling(name: str, *capabilities: str) -> list[object]:
    documents = bench_documents()
    for document in documents:
        if document["kind"] == "Agent" and document["metadata"]["name"] == name:
            document["spec"]["capabilities"] = list(capabilities)
    return documents


async def test_a_mandate_for_more_than_the_agents_ceiling_lets_nothing_beyond_it_through():
    bench = await Bench().registered(with_ceiling("scout", "crm.read"))
    await bench.issue("m-1")
    assert (await bench.act()).outcome is not None
    with pytest.raises(Refused) as told:
        await bench.act("refund", {"case": "4711", "amount": 12})
    assert told.value.code == "capability.ceiling"
    assert "`scout`" in told.value.message
    [refusal] = bench.entries(Tag.REFUSAL)
    assert refusal["code"] == "capability.ceiling"
    _, caller = bench.request("get_case", {"case": "4711"})
    assert {target for _, target in list_capabilities(*to_list(bench.walk), caller, "m-1", "crm")} == {
        "get_case"
    }


@pytest.mark.parametrize("stopped", ["scout", "rover"])
async def test_nobody_hands_on_past_the_ceiling_of_any_agent_on_the_way(stopped):
    bench = await Bench().registered()
    mandate = await mandated(bench, grants=(Grant(capability="crm.read"), Grant(capability="crm.refund")))
    believing(bench)
    chain = chain_of(bench, mandate)
    assert (await govern_action(*to_govern(bench.walk), *asked(bench, chain))).outcome is not None
    await bench.registered(with_ceiling(stopped, "crm.refund"))
    action, caller = asked(bench, chain)
    with pytest.raises(Refused) as told:
        await govern_action(*to_govern(bench.walk), action, caller)
    assert told.value.code == "capability.ceiling"
    assert f"`{stopped}`" in told.value.message
    assert not list_capabilities(*to_list(bench.walk), caller, "", "crm", delegation=action.delegation)


async def test_a_ceiling_of_a_capability_that_is_not_there_is_a_fault_of_the_document():
    with pytest.raises(Malformed, match=r"no Capability is called `crm\.raed`"):
        await Bench().registered(with_ceiling("scout", "crm.raed"))
