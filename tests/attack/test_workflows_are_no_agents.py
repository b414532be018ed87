"""No agent passes for a workflow, and no workflow for an agent: not at the door, not by a key, not in the registry."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from answerable.core.identity.names.spiffe_id import trust_domain
from answerable.errors import Refused, Unverified
from answerable.flows.approval.answer_approval import answer_approval
from answerable.flows.people.attest_workflow import attested_workflow
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.workloads.enrol_workload import enrol
from answerable.testing.samples import signing_key
from tests.worlds.enrolment import evidence_of
from tests.worlds.instance import Authority, FixedTrust, shown
from tests.worlds.mandate import changed
from tests.worlds.parts import to_apply
from tests.worlds.workflow import (
    CHECK,
    PATH,
    UID,
    answered,
    documents,
    faults,
    in_force,
    measured,
    now,
    over_socket,
    token_of,
    waiting,
    workflow,
)

pytestmark = pytest.mark.anyio
ENDS = ("disabled", "review overdue", "owner revoked", "key revoked", "key held", "owner disabled")


@pytest.mark.requirement("WORKFLOW-03")
async def test_an_agents_key_is_none_of_a_workflows():
    bench, approval = await waiting()
    for key in ("scout", "rover", "erin", "somebody"):
        with pytest.raises(Unverified) as told:
            await answered(bench, approval, key=key)
        assert told.value.code == "approval.key"
    # Nor does who came as this workflow answer as another one, or as a person.
    for by in ("erin", "bob", "workflow:other"):
        with pytest.raises(Unverified) as told:
            await answered(bench, approval, by=by, key="bob" if by == "bob" else CHECK)
        assert told.value.code == "approval.key"
    assert now(bench, approval).answers == ()


@pytest.mark.requirement("WORKFLOW-03")
async def test_what_a_workflow_signed_is_nothing_at_the_door_of_people():
    bench, approval = await waiting()
    with pytest.raises(Unverified) as told:
        await answer_approval(
            bench.recorder,
            bench.authority,
            bench.asking,
            bench.counters,
            approval.id,
            token_of(bench, approval),
        )
    assert told.value.code == "approval.key"


@pytest.mark.requirement("WORKFLOW-03")
async def test_a_workflows_key_acts_for_nobody():
    """Neither as a registered agent nor as an instance that is enrolled with it."""
    twice = changed(documents(), "Agent", "rover", keys=[_jwk(CHECK)])
    assert "reference.claimed_twice" in {code for _, code in faults(twice)}
    assert in_force(twice) == set()
    bench, _ = await waiting(given=_with_attested_scout())
    workloads, _ = measured(bench)
    with pytest.raises(Refused) as told:
        await enrol(workloads, evidence=evidence_of(), key=signing_key(CHECK).public)
    assert told.value.code == "instance.key_registered"


@pytest.mark.requirement("WORKFLOW-03")
async def test_a_key_that_was_an_instances_is_no_workflows():
    bench, _ = await waiting(given=[*_with_attested_scout()[:-1], workflow(keys=[])])
    workloads, processes = measured(bench)
    await enrol(workloads, evidence=evidence_of(), key=signing_key(CHECK).public)
    await apply_registry(*to_apply(bench.walk), [workflow()], by="operator")
    processes.start(7, uid=3000, path="/opt/check")
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.key_taken"


@pytest.mark.requirement("WORKFLOW-03")
@pytest.mark.parametrize(
    ("agent", "chosen"),
    [
        ({"attestation": [[UID]]}, [UID, PATH]),
        ({"attestation": [[UID, PATH, "unix:gid:1"]]}, [UID, PATH]),
        ({"unixUids": [3000]}, [UID, PATH]),
        ({"certificates": ["ab" * 32]}, ["mtls:sha256:" + "ab" * 32]),
    ],
)
def test_no_process_can_be_registered_as_agent_and_workflow(agent: dict[str, Any], chosen: list[str]):
    given = changed(documents(workflow(attestation=[chosen])), "Agent", "rover", **agent)
    assert ("/spec/attestation/0", "workflow.is_agent") in faults(given)
    assert in_force(given) == set()


@pytest.mark.requirement("WORKFLOW-03")
def test_an_ai_is_registered_as_no_workflow():
    assert ("/spec/ai", "workflow.ai") in faults(documents(workflow(ai=True)))
    silent = workflow()
    del silent["spec"]["ai"]
    assert ("/spec/ai", "document.missing") in faults(documents(silent))
    # Nor is a program that anybody may start: its user is part of what it is known by.
    assert ("/spec/attestation/0", "workflow.attestation") in faults(
        documents(workflow(attestation=[[PATH]]))
    )


@pytest.mark.requirement("WORKFLOW-04")
async def test_only_what_is_measured_to_be_the_workflow_comes_in():
    bench, _ = await waiting()
    workloads, processes = measured(bench)
    processes.start(7, uid=3000, path="/opt/check")
    assert (await attested_workflow(workloads, over_socket(7))).name == CHECK
    processes.start(8, uid=3000, path="/opt/other")
    processes.start(9, uid=1000, path="/opt/check")
    for pid, uid in ((8, 3000), (9, 1000)):
        with pytest.raises(Refused) as told:
            await attested_workflow(workloads, over_socket(pid, uid=uid))
        assert told.value.code == "workflow.unattested"
    with pytest.raises(Unverified) as gone:
        await attested_workflow(workloads, over_socket(9))
    assert gone.value.code == "workflow.channel"
    with pytest.raises(Unverified) as nothing:
        await attested_workflow(workloads, None)
    assert nothing.value.code == "workflow.channel"


@pytest.mark.requirement("WORKFLOW-04")
async def test_what_an_agent_started_is_no_workflow():
    bench, _ = await waiting(given=_with_attested_scout())
    workloads, processes = measured(bench)
    agent = processes.start(5)
    await enrol(workloads, evidence=evidence_of(), key=signing_key("k").public, process=agent.process)
    child = processes.start(7, uid=3000, path="/opt/check")
    assert (await attested_workflow(workloads, over_socket(7))).name == CHECK
    processes.facts[7] = replace(child, ancestors=(agent.process,))
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-04")
async def test_what_also_fits_an_agent_is_no_workflow():
    """Two sets of which neither holds the other can both be met by one process."""
    given = changed(documents(), "Agent", "rover", attestation=[[UID.replace("uid", "gid")]])
    assert faults(given) == []
    bench, _ = await waiting(given=given)
    workloads, processes = measured(bench)
    processes.facts[7] = replace(processes.start(7, uid=3000, path="/opt/check"), gid=3000)
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-04")
@pytest.mark.parametrize("known", ["certificate", "name elsewhere"])
async def test_a_workflow_of_another_machine_shows_a_certificate(known: str):
    domain = trust_domain("plant.test")
    bench, _ = await waiting(given=documents(workflow(keys=[])))
    authority = Authority(domain, bench.clock.now())
    certificate = authority.svid("spiffe://plant.test/change-check")
    shows = {
        "certificate": f"mtls:sha256:{sha256(certificate).hexdigest()}",
        "name elsewhere": "spiffe:id:spiffe://plant.test/change-check",
    }[known]
    await apply_registry(*to_apply(bench.walk), [workflow(attestation=[[shows]])], by="operator")
    workloads, _ = measured(bench)
    if known == "name elsewhere":
        with pytest.raises(Refused) as unknown:
            await attested_workflow(workloads, shown(certificate))
        assert unknown.value.code == "workflow.unattested", "while its trust domain is believed by nobody"
    trust = FixedTrust()
    trust.found[domain] = authority.bundle()
    own = workloads.trust.domain
    workloads.trust = SimpleNamespace(domain=own, bundle=trust.bundle)
    assert (await attested_workflow(workloads, shown(certificate))).name == CHECK
    with pytest.raises(Refused) as other:
        await attested_workflow(workloads, shown(authority.svid("spiffe://plant.test/other")))
    assert other.value.code == "workflow.unattested"
    ours = Authority(own, bench.clock.now()).svid(f"spiffe://{own}/agent/x")
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, shown(ours))
    assert told.value.code == "workflow.is_agent"


def _with_attested_scout() -> list[Any]:
    return changed(documents(), "Agent", "scout", attestation=[["unix:path:/opt/scout", "unix:uid:1000"]])


def _jwk(name: str) -> Any:
    from answerable.core.canonical import parse

    return parse(signing_key(name).public.jwk.encode())
