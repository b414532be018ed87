"""Ends that the ledger knows and the registers do not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import pytest

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import (
    SqliteAuthorityRegister,
    SqliteInstanceRegister,
    SqliteRevocationRegister,
)
from answerable.core.identity.svid.authority import TrustLimits
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.revocation import Revocation, RevocationTarget, revocable
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.recovery.restore_ended_authority import Recalled, restore_ended_authority
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.revocation.revoke_authority import record_revocations, revoke_authority
from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.name_sub_agent import sub_agent_number
from answerable.testing.registers import fresh, fresh_ends, fresh_keys, fresh_subject_keys
from tests.worlds.enrolment import DOMAIN, enrolling, evidence_of, key_of

pytestmark = pytest.mark.anyio
NOTHING = Recalled(ends=0, revocations=0)


async def test_what_an_older_register_shows_as_live_is_ended_with_its_sub_agents_for_its_own_reason():
    bench, workloads = await enrolling()
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    other = await enrol(workloads, evidence=evidence_of(), key=key_of("i-2"), process="boot:2:1")
    sub = await enrol(workloads, evidence=parent.evidence, key=key_of("s-1"), parent=parent.id)
    await end_instance(workloads, parent.id, because="operator.ended")
    older = fresh(SqliteInstanceRegister)
    for one in (parent, other, sub):
        older.add(one)
    again = replace(workloads, instances=older, sub_numbers={})
    authorities = AuthorityChanges(bench.walk.recorder, workloads.trust)
    assert await restore_ended_authority(again, authorities, since=0) == Recalled(ends=2, revocations=0)
    assert [one.id for one in older.live()] == [other.id]
    assert older.process_ended("boot:1:1") == "operator.ended"
    # They are in the ledger already, and are not written down again.
    assert older.unrecorded() == ()
    assert await restore_ended_authority(again, authorities, since=0) == NOTHING
    assert len(bench.entries(Tag.WORKLOAD_ENDED)) == 2


async def test_a_sub_agent_that_an_older_register_does_not_know_keeps_its_number():
    bench, workloads = await enrolling()
    parent = await enrol(workloads, evidence=evidence_of(), key=key_of("i-1"), process="boot:1:1")
    for number in range(3):
        await enrol(workloads, evidence=parent.evidence, key=key_of(f"s-{number}"), parent=parent.id)
    older = fresh(SqliteInstanceRegister)
    older.add(parent)
    again = replace(workloads, instances=older, sub_numbers={})
    assert (
        await restore_ended_authority(again, AuthorityChanges(bench.walk.recorder, workloads.trust), since=0)
        == NOTHING
    )
    anew = await enrol(again, evidence=parent.evidence, key=key_of("s-9"), parent=parent.id)
    assert sub_agent_number(anew.id) == 4
    assert sub_agent_number(parent.id) == 0


class CopiedKeys(LocalAuthorityKeys):
    """Port AuthorityKeys of which there is a copy: what is destroyed comes back with it."""

    def destroy(self, name: str) -> None:
        """Stays."""


async def test_an_authority_that_was_withdrawn_and_is_back_is_withdrawn_again():
    bench, workloads = await enrolling()
    keys, register = fresh_keys(CopiedKeys), fresh(SqliteAuthorityRegister)

    def opened(register: SqliteAuthorityRegister) -> TrustDomainState:
        desk = TrustDomainState(
            domain=DOMAIN,
            keys=keys,
            register=register,
            clock=bench.clock,
            entropy=bench.walk.entropy,
            limits=TrustLimits(),
        )
        desk.open()
        return desk

    desk, older = opened(register), fresh(SqliteAuthorityRegister)
    copy = register.read()
    assert copy is not None
    older.replace(copy, expected=None)
    (withdrawn,) = desk.authorities()
    authorities = AuthorityChanges(bench.walk.recorder, desk)
    await authorities.remove(withdrawn.id)
    assert await restore_ended_authority(replace(workloads, trust=desk), authorities, since=0) == NOTHING
    again = opened(older)
    assert [one.id for one in again.authorities() if one.is_published] == [withdrawn.id]
    recalled = AuthorityChanges(bench.walk.recorder, again)
    assert await restore_ended_authority(replace(workloads, trust=again), recalled, since=0) == Recalled(
        ends=1, revocations=0
    )
    (published,) = [one.id for one in again.authorities() if one.is_published]
    assert published != withdrawn.id


EVERY_KIND = (
    ("token", "jti-1"),
    ("hop", "h" * 43),
    ("mandate", "m-1"),
    ("agent", "scout"),
    ("agent", "spiffe://example.test/agent/scout/abc"),
    ("key", "K" * 43),
    ("manifest", "a" * 64),
    ("owner", "carol"),
    ("vendor", "model-maker"),
    ("trust_domain", "partner.test"),
)


async def test_what_was_revoked_of_any_kind_is_put_back_as_it_was_and_is_not_recorded_again():
    bench, workloads = await enrolling()
    authorities = AuthorityChanges(bench.walk.recorder, workloads.trust)
    for kind, name in EVERY_KIND:
        await revoke_authority(
            bench.recorder,
            bench.authority,
            bench.live,
            revocable(kind, name),
            by="operator",
            reason=f"of {name}",
        )
        bench.clock.advance(1)
    before = bench.authority.revocations
    bench.authority.revocations = fresh_ends()[0]
    since = bench.entries(Tag.REVOKED)[2]["index"]
    assert isinstance(since, int)
    recalled = await restore_ended_authority(workloads, authorities, since=since)
    assert recalled == Recalled(ends=0, revocations=len(EVERY_KIND) - 2)
    # The two that the register is said to have counted already are looked for only where they may be missing.
    assert await restore_ended_authority(workloads, authorities, since=0) == Recalled(ends=0, revocations=2)
    assert await restore_ended_authority(workloads, authorities, since=0) == NOTHING
    assert set(bench.authority.revocations.all()) == set(before.all())
    assert await record_revocations(bench.recorder, bench.authority, bench.live, overdue_only=False) == 0
    assert len(bench.entries(Tag.REVOKED)) == len(EVERY_KIND)


class CountedRevocations(SqliteRevocationRegister):
    """Counts writes, each of which waits for the disk where there is one."""

    writes = 0

    def add_all(self, revocations: Collection[Revocation]) -> int:
        self.writes += 1
        return super().add_all(revocations)

    def recorded(self, names: Iterable[RevocationTarget]) -> None:
        self.writes += 1
        super().recorded(names)


async def test_however_many_were_revoked_all_are_put_back_with_one_write():
    bench, workloads = await enrolling()
    names = [revocable("token", f"t-{number}") for number in range(300)]
    for one in names:
        await revoke_authority(
            bench.recorder, bench.authority, bench.live, one, by="operator", looks_back=False
        )
    bench.authority.revocations = counted = fresh(CountedRevocations, clock=bench.clock)
    authorities = AuthorityChanges(bench.walk.recorder, workloads.trust)
    assert (await restore_ended_authority(workloads, authorities, since=0)).revocations == len(names)
    assert counted.writes == 2, "one that puts them into force, one that says that they are recorded"
    assert all(counted.find((one,)) is not None for one in names)


async def test_who_was_revoked_and_whose_key_is_gone_is_told_of_and_nobody_is_revoked_by_a_pseudonym():
    bench, workloads = await enrolling()
    authorities = AuthorityChanges(bench.walk.recorder, workloads.trust)
    for kind, name in (("owner", "carol"), ("vendor", "model-maker")):
        await revoke_authority(
            bench.recorder, bench.authority, bench.live, revocable(kind, name), by="operator", reason="left"
        )
    pseudonym = pseudonym_of(bench.recorder, "operator")
    person, vendor = bench.entries(Tag.REVOKED)
    assert isinstance(person["index"], int)
    bench.authority.revocations = fresh_ends()[0]
    bench.recorder.subject_keys = fresh_subject_keys("another")
    recalled = await restore_ended_authority(workloads, authorities, since=0)
    assert recalled == Recalled(ends=0, revocations=1, nameless=(person["index"],))
    # What needs no key is in force: who did it stands as in the leaf, the reason is gone.
    [back] = bench.authority.revocations.all()
    assert (back.what, back.at) == (revocable("vendor", "model-maker"), vendor["since"])
    assert (back.by, back.reason) == (pseudonym, "")


async def test_a_revocation_that_is_put_back_denies_the_approvals_that_an_older_register_shows_as_waiting():
    bench, workloads = await enrolling()
    await bench.issue()
    waiting = (await bench.refund(6_000)).approval
    assert waiting is not None
    approvals = bench.authority.approvals
    await revoke_authority(
        bench.recorder, bench.authority, bench.live, revocable("agent", "scout"), by="operator"
    )
    denied = approvals.find(waiting.id)
    assert denied is not None
    assert approvals.replace(replace(denied, state="pending"), was=denied)
    bench.authority.revocations = fresh_ends()[0]
    authorities = AuthorityChanges(bench.walk.recorder, workloads.trust)
    assert await restore_ended_authority(workloads, authorities, since=0) == Recalled(ends=0, revocations=1)
    found = approvals.find(waiting.id)
    assert found is not None
    assert found.state == "denied"
