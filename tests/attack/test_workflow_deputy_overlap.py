"""Workflows, deputies, duties and tests beside each other: who counts once, who has seen it, who started whom."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import anyio
import pytest

from answerable.adapters import linux_process
from answerable.adapters.linux_process import observer as observer_module
from answerable.core.approval.review import Judgement
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.approval.send_attention_check import asked_canary
from answerable.flows.escalation.route_approval import question_of
from answerable.flows.people.attest_workflow import attested_workflow
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.workloads.enrol_workload import enrol
from answerable.testing.samples import signing_key
from tests.worlds import glass as glass_world
from tests.worlds.duty import delegate, duty_document
from tests.worlds.enrolment import evidence_of
from tests.worlds.mandate import changed
from tests.worlds.parts import to_apply, to_govern
from tests.worlds.workflow import (
    LIMITS,
    POLICIES,
    answered,
    documents,
    measured,
    now,
    over_socket,
    waiting,
    workflow,
)

pytestmark = pytest.mark.anyio
OWNED = workflow()["spec"]["ownership"]


@pytest.mark.requirement("WORKFLOW-05")
@pytest.mark.parametrize("first", ["workflow", "backup owner"])
async def test_a_workflow_and_who_stands_in_for_its_owner_count_once(first: str):
    """Whoever can change the program can say its yes: with their own they would be two."""
    mine = workflow(ownership={**OWNED, "backupOwner": "carol"})
    bench, approval = await waiting(60_000, given=documents(mine))
    if first == "workflow":
        await answered(bench, approval)
        with pytest.raises(Refused) as told:
            await bench.answer(now(bench, approval), by="carol")
    else:
        await bench.answer(approval, by="carol")
        with pytest.raises(Refused) as told:
            await answered(bench, now(bench, approval))
    assert told.value.code == "approval.answered_already"
    assert now(bench, approval).state == "pending"
    if first == "workflow":
        # A no of theirs stands.
        assert (await bench.answer(now(bench, approval), by="carol", verdict="deny")).state == "denied"


@pytest.mark.requirement("WORKFLOW-05")
async def test_two_workflows_whose_owners_stand_in_for_each_other_count_once():
    other = workflow("second-check", uid=3001, ownership={**OWNED, "owner": "frank", "backupOwner": "erin"})
    bench, approval = await waiting(60_000, given=documents(workflow(), other))
    await answered(bench, approval)
    with pytest.raises(Refused) as told:
        await answered(bench, now(bench, approval), "second-check")
    assert told.value.code == "approval.answered_already"
    assert now(bench, approval).state == "pending"


@pytest.mark.requirement("WORKFLOW-05", "DUTY-05")
@pytest.mark.parametrize("first", ["workflow", "deputy"])
async def test_a_workflow_and_the_deputy_of_its_owner_are_one_also_in_groups_of_their_own(first: str):
    given = [*documents(workflow(owner="carol")), duty_document()]
    bench, approval = await waiting(600_000, given=given)
    await delegate(bench, of="carol")
    if first == "workflow":
        await answered(bench, approval)
        with pytest.raises(Refused) as told:
            await bench.answer(now(bench, approval), by="dan")
    else:
        await bench.answer(approval, by="dan")
        with pytest.raises(Refused) as told:
            await answered(bench, now(bench, approval))
    assert told.value.code == "approval.answered_already"
    assert len(now(bench, approval).answers) == 1


@pytest.mark.requirement("WORKFLOW-05")
async def test_who_became_a_workflows_backup_owner_since_does_not_count_beside_it():
    """Both had said yes before they were one: at the act they count as one."""
    bench, approval = await waiting(60_000, given=documents())
    await answered(bench, approval)
    assert (await bench.answer(now(bench, approval), by="carol")).state == "approved"
    await apply_registry(
        *to_apply(bench.walk), [workflow(ownership={**OWNED, "backupOwner": "carol"})], by="operator"
    )
    assert (await bench.refund(60_000)).outcome is None


@pytest.mark.requirement("WORKFLOW-04")
async def test_what_an_agent_started_is_no_workflow_once_the_agents_instance_was_ended():
    given = changed(documents(), "Agent", "scout", attestation=[["unix:path:/opt/scout", "unix:uid:1000"]])
    bench, _ = await waiting(given=given)
    workloads, processes = measured(bench)
    agent = processes.start(5)
    instance = await enrol(
        workloads, evidence=evidence_of(), key=signing_key("k").public, process=agent.process
    )
    child = processes.start(7, uid=3000, path="/opt/check")
    processes.facts[7] = replace(child, ancestors=(agent.process,))
    await end_instance(workloads, instance.id, because="operator.ended")
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-04")
async def test_of_whom_it_is_not_known_who_started_it_is_no_workflow():
    """An agent that puts so many processes between itself and the program is above what is looked at."""
    bench, _ = await waiting()
    workloads, processes = measured(bench)
    processes.facts[7] = replace(processes.start(7, uid=3000, path="/opt/check"), descent_known=False)
    with pytest.raises(Refused) as told:
        await attested_workflow(workloads, over_socket(7))
    assert told.value.code == "workflow.is_agent"


@pytest.mark.requirement("WORKFLOW-04")
@pytest.mark.skipif(sys.platform != "linux", reason="procfs is Linux's")
def test_an_observer_says_where_it_saw_not_all_that_a_process_descends_from(monkeypatch: pytest.MonkeyPatch):
    looks = linux_process.LinuxProcessObserver()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        whole = looks.observe(child.pid, started=looks.started(child.pid))
        monkeypatch.setattr(observer_module, "ANCESTORS_MAX", 1)
        cut = looks.observe(child.pid, started=looks.started(child.pid))
        child.kill()
    assert len(whole.ancestors) > 1, "the tests were started by something"
    assert (whole.descent_known, cut.descent_known) == (True, False)


@pytest.mark.requirement("DUTY-04")
async def test_the_answer_of_a_workflow_is_nobodys_look():
    """Steps for what nobody has seen are told: a program has no eyes."""
    bench, approval = await waiting(600_000)
    assert not question_of(bench.authority, bench.asking.duties, bench.walk.limits, approval).seen
    assert not question_of(
        bench.authority, bench.asking.duties, bench.walk.limits, await answered(bench, approval)
    ).seen
    after = await bench.answer(now(bench, approval), by="carol")
    assert question_of(bench.authority, bench.asking.duties, bench.walk.limits, after).seen


@pytest.mark.requirement("OVERSIGHT-06")
async def test_no_test_is_asked_that_workflows_alone_would_answer():
    limits = replace(LIMITS, canaries_per_day=100, canaries_pending_max=10)
    alone = POLICIES.replace("checks|approvers:2", "checks:1")
    bench, _ = await waiting(given=documents(policies=alone), limits=limits)
    pattern = bench.asking.canaries.patterns[-1][1]
    assert await asked_canary(*to_govern(bench.walk), pattern, bench.clock.now()) is None


@pytest.mark.requirement("GLASS-06")
async def test_two_who_review_one_broken_glass_at_once_leave_one_review_on_record():
    """Else the ledger had both `unjustified` and `justified`, and whoever wants may show one of them."""
    bench, approval = await glass_world.waiting()
    approval = await glass_world.broken(bench, approval)
    told: list[str] = []

    async def review(by: str, verdict: Judgement) -> None:
        try:
            await glass_world.reviewed(bench, approval, by=by, verdict=verdict)
        except Refused as fault:
            told.append(fault.code)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(review, "bob", "unjustified")
        tasks.start_soon(review, "carol", "justified")
    assert told == ["approval.changed_meanwhile"]
    (entry,) = bench.entries(Tag.GLASS_REVIEWED)
    kept = glass_world.now(bench, approval).review
    assert kept is not None
    assert entry["verdict"] == kept.verdict
