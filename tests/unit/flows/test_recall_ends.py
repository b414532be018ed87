"""Ends that the ledger knows and the registers do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.memory.authorities import MemoryAuthorityKeys, MemoryAuthorityRegister
from answerable.adapters.memory.instances import MemoryInstanceRegister
from answerable.core.identity.authority import TrustLimits
from answerable.core.ledger.tags import Tag
from answerable.flows.change_authorities import AuthorityChanges
from answerable.flows.end_instance import end_instance
from answerable.flows.enrol_workload import enrol
from answerable.flows.keep_trust_domain import TrustDomainDesk
from answerable.flows.name_sub_agent import sub_agent_number
from answerable.flows.recall_ends import recall_ends
from tests.enrolment_world import DOMAIN, enrolling, evidence_of, key_of

pytestmark = pytest.mark.anyio


async def test_what_an_older_register_shows_as_live_is_ended_with_its_sub_agents_for_its_own_reason():
    bench, workloads = await enrolling()
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    other = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:2:1")
    sub = await enrol(workloads, evidence=parent.evidence, key=key_of("s-1"), parent=parent.id)
    await end_instance(workloads, parent.id, because="operator.ended")
    older = MemoryInstanceRegister()
    for one in (parent, other, sub):
        older.add(one)
    again = replace(workloads, instances=older, sub_numbers={})
    authorities = AuthorityChanges(bench.walk, workloads.trust)
    assert await recall_ends(again, authorities, since=0) == 2
    assert [one.id for one in older.live()] == [other.id]
    assert older.process_ended("boot:1:1") == "operator.ended"
    # They are in the ledger already, and are not written down again.
    assert older.unrecorded() == ()
    assert await recall_ends(again, authorities, since=0) == 0
    assert len(bench.entries(Tag.WORKLOAD_ENDED)) == 2


async def test_a_sub_agent_that_an_older_register_does_not_know_keeps_its_number():
    bench, workloads = await enrolling()
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    for number in range(3):
        await enrol(workloads, evidence=parent.evidence, key=key_of(f"s-{number}"), parent=parent.id)
    older = MemoryInstanceRegister()
    older.add(parent)
    again = replace(workloads, instances=older, sub_numbers={})
    assert await recall_ends(again, AuthorityChanges(bench.walk, workloads.trust), since=0) == 0
    fresh = await enrol(again, evidence=parent.evidence, key=key_of("s-9"), parent=parent.id)
    assert sub_agent_number(fresh.id) == 4
    assert sub_agent_number(parent.id) == 0


class CopiedKeys(MemoryAuthorityKeys):
    """Port AuthorityKeys of which there is a copy: what is destroyed comes back with it."""

    def destroy(self, name: str) -> None:
        """Stays."""


async def test_an_authority_that_was_withdrawn_and_is_back_is_withdrawn_again():
    bench, workloads = await enrolling()
    keys, register = CopiedKeys(), MemoryAuthorityRegister()

    def opened(register: MemoryAuthorityRegister) -> TrustDomainDesk:
        desk = TrustDomainDesk(
            domain=DOMAIN,
            keys=keys,
            register=register,
            clock=bench.walk.clock,
            entropy=bench.walk.entropy,
            limits=TrustLimits(),
        )
        desk.open()
        return desk

    desk, older = opened(register), MemoryAuthorityRegister()
    copy = register.read()
    assert copy is not None
    older.replace(copy, expected=None)
    (withdrawn,) = desk.authorities()
    authorities = AuthorityChanges(bench.walk, desk)
    await authorities.remove(withdrawn.id)
    assert await recall_ends(replace(workloads, trust=desk), authorities, since=0) == 0
    again = opened(older)
    assert [one.id for one in again.authorities() if one.is_published] == [withdrawn.id]
    recalled = AuthorityChanges(bench.walk, again)
    assert await recall_ends(replace(workloads, trust=again), recalled, since=0) == 1
    (published,) = [one.id for one in again.authorities() if one.is_published]
    assert published != withdrawn.id
