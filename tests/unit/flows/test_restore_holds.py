"""Holds that the ledger knows and the register does not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from answerable.core.containment.hold import EVERYTHING, HOLD_KINDS, holdable
from answerable.core.ledger.records_holds import hold_lifted
from answerable.core.ledger.subject import LOG_SUBJECT
from answerable.core.ledger.tags import Tag
from answerable.errors import Refused
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.recovery.restore_ended_authority import Recalled, restore_ended_authority
from answerable.flows.recovery.restore_holds import RecalledHolds
from answerable.flows.revocation.place_hold import resume_holds
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.testing.builders import Bench
from answerable.testing.registers import fresh_ends, fresh_subject_keys
from tests.worlds.enrolment import enrolling
from tests.worlds.hold import REACHING, lift, stop

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOLD-11")]


def lose_register(bench: Bench) -> None:
    revocations, bench.authority.holds = fresh_ends()
    bench.authority.revocations = revocations


async def recalled(bench: Bench, workloads, *, since: int = 0) -> Recalled:
    return await restore_ended_authority(
        workloads, AuthorityChanges(bench.walk.recorder, workloads.trust), since=since
    )


async def test_what_was_held_of_any_kind_is_held_again_as_it_was_and_what_was_lifted_is_not():
    bench, workloads = await enrolling()
    every = [*REACHING.values(), holdable("hop", "h" * 43), holdable("credential", "mail")]
    assert {one.kind for one in every} == set(HOLD_KINDS)
    for what in every:
        await stop(bench, what, by="alice")
        bench.clock.advance(1)
    ends = bench.clock.now() + 5_000
    await stop(bench, holdable("agent", "third"), expires_at=ends)
    gone = (await stop(bench, EVERYTHING)).hold
    await lift(bench, gone, "bob")
    lifted = await lift(bench, gone, "carol")
    half = (await stop(bench, holdable("agent", "rover"))).hold
    await lift(bench, half, "bob")
    before = bench.authority.holds
    lose_register(bench)
    found = await recalled(bench, workloads)
    assert (found.holds, found.revocations) == (len(every) + 2, 0)
    assert bench.authority.holds.get(lifted.id) == lifted
    # What one person agreed to alone is not lifted, and is looked at anew.
    assert bench.authority.holds.get(half.id) == half
    assert {replace(one, agreed=()) for one in bench.authority.holds.all()} == {
        replace(one, agreed=()) for one in before.all()
    }
    assert await resume_holds(bench.recorder, bench.authority, overdue_only=False) == 0
    assert (await recalled(bench, workloads)).holds == 0


async def test_a_lift_on_record_that_was_not_in_force_yet_is_at_the_next_start():
    bench, workloads = await enrolling()
    hold = (await stop(bench, holdable("agent", "scout"), by="alice")).hold
    replace_in = bench.authority.holds.replace
    bench.authority.holds.replace = lambda *_, **__: False
    with pytest.raises(Refused):
        await lift(bench, hold, "bob")
    bench.authority.holds.replace = replace_in
    assert not bench.authority.holds.get(hold.id).lifted_at
    await recalled(bench, workloads)
    assert bench.authority.holds.get(hold.id).lifted_by == ("bob",)


@pytest.mark.requirement("PROJECT-15")
async def test_a_lift_on_record_that_nobody_signed_lifts_nothing(caplog):
    bench, workloads = await enrolling()
    held, other = [(await stop(bench, holdable("agent", one), by="alice")).hold for one in ("scout", "rover")]
    signed = await lift(bench, other, "bob")
    assert signed.lifted_at
    forged = replace(held, agreed=signed.agreed, lifted_at=signed.lifted_at)
    sealing = sealing_for(bench.recorder, LOG_SUBJECT)
    entry = hold_lifted(
        forged, signed.agreed[-1], at=bench.clock.now(), sealing=sealing, by="0" * 64, person=""
    )
    await record_entry(bench.recorder, entry)
    lose_register(bench)
    assert (await recalled(bench, workloads)).holds == 1
    assert bench.authority.holds.get(other.id) == signed
    found = bench.authority.holds.get(held.id)
    assert found is not None
    assert not found.lifted_at
    assert f"hold {held.id} stays in force" in caplog.text


async def test_what_a_hold_denied_stays_denied_where_an_older_register_shows_it_as_waiting():
    bench, workloads = await enrolling()
    await bench.issue()
    waiting = (await bench.refund(6_000)).approval
    approvals = bench.authority.approvals
    hold = (await stop(bench, holdable("agent", "scout"), by="alice")).hold
    denied = approvals.find(waiting.id)
    assert approvals.replace(replace(denied, state="pending"), was=denied)
    bench.clock.advance(1)
    await lift(bench, hold, "bob")
    later = (await bench.refund(6_001)).approval
    lose_register(bench)
    assert (await recalled(bench, workloads)).holds == 0
    assert approvals.find(waiting.id).state == "denied"
    assert approvals.find(later.id).state == "pending"


async def test_who_is_held_and_whose_key_is_gone_is_told_of_and_an_unknown_placer_is_taken_for_anybody():
    bench, workloads = await enrolling()
    await stop(bench, holdable("owner", "carol"), by="alice")
    hold = (await stop(bench, holdable("agent", "scout"), by="alice")).hold
    assert hold.persons_to_lift == 1
    person, _ = bench.entries(Tag.HOLD_PLACED)
    lose_register(bench)
    bench.recorder.subject_keys = fresh_subject_keys("another")
    found = await recalled(bench, workloads)
    assert (found.holds, found.nameless) == (1, (person["index"],))
    back = bench.authority.holds.get(hold.id)
    assert (back.what, back.at, back.reason) == (hold.what, hold.at, "")
    # Nobody can say who placed it, so that nobody lifts it alone.
    assert back.persons_to_lift == 2


async def test_an_entry_that_says_no_hold_is_told_of_and_never_taken_for_one():
    bench, _ = await enrolling()
    await stop(bench, holdable("agent", "scout"))
    [stored] = [one for one in bench.recorder.ledger.replay() if one.tag == Tag.HOLD_PLACED]
    lose_register(bench)
    found = RecalledHolds(recorder=bench.recorder, authority=bench.authority)
    for wrong in (b'"kind":"nothing"', b'"source":"x"'):
        name = wrong.partition(b":")[0]
        leaf = msgspec.json.decode(stored.leaf)
        leaf[name.decode().strip('"')] = msgspec.json.decode(wrong.partition(b":")[2])
        found.note(msgspec.structs.replace(stored, leaf=msgspec.json.encode(leaf)))
    assert found.nameless == [stored.index, stored.index]
    assert await found.restored() == 0
