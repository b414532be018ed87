"""An owner is disabled in an emergency: nothing that was written before may stand in the way, and nothing goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from msgspec import structs

from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.end_instance import follow_standing
from answerable.flows.state.known_callers import KnownCallers
from answerable.flows.walk.govern_action import govern_action
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.hand_out_svid import jwt_svid
from answerable.testing.builders import Bench
from tests.worlds.enrolment import attested_documents, enrolling, evidence_of, key_of
from tests.worlds.gateway import until
from tests.worlds.parts import to_apply, to_govern

if TYPE_CHECKING:
    from collections.abc import Awaitable

pytestmark = pytest.mark.anyio
SCOUT = AgentId("scout")


def owned_by_carol(documents: list[Any], kind: str, name: str) -> list[Any]:
    found: list[Any] = []
    for one in documents:
        if (one["kind"], one["metadata"]["name"]) == (kind, name):
            ownership = {**one["spec"]["ownership"], "owner": "carol"}
            one = {**one, "spec": {**one["spec"], "ownership": ownership}}
        found.append(one)
    return found


async def disable(bench: Bench, person: str) -> None:
    """By the one document that says so, as `answerable apply` hands it in."""
    (document,) = (
        one for one in attested_documents() if (one["kind"], one["metadata"]["name"]) == ("Principal", person)
    )
    disabled: Any = {**document, "spec": {**document["spec"], "status": "disabled"}}
    await apply_registry(*to_apply(bench.walk), [disabled], by="operator")


async def code_of(asked: Awaitable[object]) -> str:
    with pytest.raises(AnswerableError) as told:
        await asked
    return told.value.code


@pytest.mark.requirement("IDENT-10")
async def test_a_policy_that_names_a_capability_does_not_keep_its_owner_in_office() -> None:
    documents = owned_by_carol(attested_documents(), "Capability", "crm.refund")
    bench = await Bench().registered(documents)
    await bench.issue()
    await bench.act("refund", {"case": "4711", "amount": 1})
    before = bench.walk.policies.decision_point.policy_set
    await disable(bench, "carol")
    # The next call of what she answered for is refused, what others answer for goes on, under the same policies.
    assert await code_of(bench.act("refund", {"case": "4711", "amount": 1})) == "capability.unknown"
    await bench.act("get_case", {"case": "4711"})
    assert len(bench.upstream.effects) == 2
    assert bench.walk.policies.decision_point.policy_set == before
    # And with her it comes back, without anybody publishing policies.
    await apply_registry(*to_apply(bench.walk), documents, by="operator")
    await bench.act("refund", {"case": "4711", "amount": 1})


@pytest.mark.requirement("IDENT-10")
async def test_a_policy_that_names_what_was_never_registered_is_an_error_all_the_same() -> None:
    bench = await Bench().registered(owned_by_carol(attested_documents(), "Capability", "crm.refund"))
    await disable(bench, "carol")
    text = '@id("x") permit (principal, action == Action::"crm.refunds", resource);'
    policies: Any = {
        "apiVersion": "answerable/v1",
        "kind": "PolicySet",
        "metadata": {"name": "more"},
        "spec": {"policies": text},
    }
    with pytest.raises(Malformed) as told:
        await apply_registry(*to_apply(bench.walk), [policies], by="operator")
    assert told.value.code == "policy.invalid"


@pytest.mark.requirement("IDENT-10")
async def test_with_the_owner_of_an_agent_every_use_of_it_ends() -> None:
    bench, workloads = await enrolling(owned_by_carol(attested_documents(), "Agent", "scout"))
    await bench.issue()
    one = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    known = KnownCallers(registry=bench.authority.registry, instances=workloads.instances)

    async def act() -> None:
        now = bench.clock.now()
        identity = known.by_key(key_of("i-1").thumbprint, now).identity
        action, caller = bench.request("get_case", {"case": "4711"})
        await govern_action(*to_govern(bench.walk), action, structs.replace(caller, identity=identity))

    await act()
    action, caller = bench.request("get_case", {"case": "4711"})
    await disable(bench, "carol")
    # At once: the next message is not proved, one that was proved before is refused, and nothing is signed any more.
    assert await code_of(act()) == "agent.inactive"
    assert await code_of(govern_action(*to_govern(bench.walk), action, caller)) == "agent.inactive"
    assert await code_of(jwt_svid(workloads, one.id, ("somebody",))) == "agent.inactive"
    assert len(bench.upstream.effects) == 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow_standing, workloads)
        await until(lambda: bench.entries(Tag.WORKLOAD_ENDED) != [])
        tasks.cancel_scope.cancel()
    assert list(workloads.instances.live()) == []
    assert bench.entries(Tag.WORKLOAD_ENDED)[0]["because"] == "agent.inactive"
