"""What revoking answers and records: stopped, in flight, done; once, also after a crash, and with nobody named."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import pytest

from answerable.core.canonical import encode, parse
from answerable.core.ledger.effects import counts
from answerable.core.ledger.entry import entry_of
from answerable.core.ledger.tags import OWED, Tag
from answerable.core.mandate.hop_token import signing_hash
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget, revocable
from answerable.errors import Refused, Unavailable
from answerable.flows.entries.cite_statement import cite_hop
from answerable.flows.revocation.revoke_authority import record_revocations, revoke_authority
from answerable.flows.revocation.trace_effects import effects_under
from answerable.flows.walk.govern_action import govern_action
from answerable.testing.delegation import three, verify
from answerable.testing.samples import signing_key
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.worlds.parts import to_govern
from tests.worlds.revocation import bench_with_vendors, revoke_now
from tests.worlds.token import narrow, token_world
from tests.worlds.walk import stored_of


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-05")
async def test_revoking_says_what_was_stopped_what_is_in_flight_and_what_cannot_be_undone():
    bench = await bench_with_vendors()
    await bench.issue("m-2", agent="rover")
    await bench.act()
    await bench.refund(100)
    await bench.act(mandate="m-2", agent="rover")
    waiting = (await bench.refund(6_000)).approval
    assert waiting is not None
    started, go_on = anyio.Event(), anyio.Event()

    async def held(_effect) -> None:
        started.set()
        await go_on.wait()

    bench.upstream.before = held
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bench.act)
        await started.wait()
        stopped = await revoke_authority(
            bench.recorder,
            bench.authority,
            bench.live,
            revocable("agent", "scout"),
            by="operator",
            reason="its key was seen elsewhere",
        )
        go_on.set()
    assert stopped.is_new
    assert stopped.mandates == ("m-1",)
    assert stopped.approvals == (waiting.id,)
    found = bench.authority.approvals.find(waiting.id)
    assert found is not None
    assert found.state == "denied"
    [flying] = stopped.in_flight
    assert (flying.agent, flying.capability, flying.since) == ("scout", "crm.read", bench.clock.now())
    assert {(one.capability, one.undoing) for one in stopped.done} == {
        ("crm.refund", "not_reversible"),
        ("crm.read", "read"),
    }
    assert counts(stopped.effects) == {"not_reversible": 1, "reversible": 0, "read": 1}
    [leaf] = bench.entries(Tag.REVOKED)
    assert (leaf["kind"], leaf["agent"], leaf["in_flight"]) == ("agent", "scout", [flying.index])
    # What was in flight has ended as it would have: it was named, not torn apart.
    assert [end["status"] for end in bench.entries(Tag.OUTCOME)][-1] == "succeeded"


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-05")
@pytest.mark.parametrize(
    ("kind", "name"),
    [("vendor", "crm-maker"), ("owner", "alice"), ("key", signing_key("scout").public.thumbprint)],
)
async def test_what_waits_for_people_is_denied_by_whatever_name_it_is_revoked_under(kind, name):
    bench = await bench_with_vendors()
    action, caller = bench.request("refund", {"case": "4711", "amount": 6_000})
    caller = msgspec.structs.replace(caller, key=signing_key("scout").public.thumbprint)
    waiting = (await govern_action(*to_govern(bench.walk), action, caller)).approval
    assert waiting is not None
    await revoke_authority(
        bench.recorder, bench.authority, bench.live, revocable("vendor", "somebody-else"), by="operator"
    )
    assert bench.authority.approvals.find(waiting.id) == waiting
    stopped = await revoke_authority(
        bench.recorder, bench.authority, bench.live, revocable(kind, name), by="operator"
    )
    assert stopped.approvals == (waiting.id,)
    with pytest.raises(Refused) as told:
        await bench.answer(waiting)
    assert told.value.code == "approval.not_pending"


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-05")
async def test_what_waits_under_a_hop_is_denied_with_it_and_what_waits_beside_it_is_not(tmp_path):
    policies = """@id("all") permit(principal, action, resource);
    @id("ask") @reason("a person reads it") @approve("approvers:1")
    forbid(principal, action == Action::"crm.note", resource);\n"""
    async with token_world(tmp_path, policies=policies) as world:
        await world.mandate()
        root = await world.root()
        hops = {}
        for agent in ("researcher", "writer"):
            hops[agent] = world.handed((root,), "orchestrator", agent, narrow(("crm.note",), root))
            await world.call(agent, "note_add", {"case_id": "4711", "text": "x"}, chain=(root, hops[agent]))
        waiting = {
            one.agent: one for one in world.walk.authority.approvals.all(pending_only=True, now=world.now())
        }
        await world.approve(waiting["writer"])
        for agent in ("researcher", "writer"):
            what = RevocationTarget("hop", signing_hash(hops[agent]))
            stopped = await revoke_authority(
                world.walk.recorder, world.walk.authority, world.walk.live, what, by="operator"
            )
            assert stopped.approvals == (waiting[agent].id,)
        with pytest.raises(Refused) as told:
            await world.approve(waiting["researcher"])
        assert told.value.code == "approval.not_pending"


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-05")
async def test_what_is_asked_for_while_it_is_revoked_waits_for_nobody():
    bench = await bench_with_vendors()
    submit = bench.recorder.ledger.submit

    def revoked_meanwhile(entry):
        if entry.tag == Tag.APPROVAL_ASKED:
            revoke_now(bench, revocable("agent", "scout"))
        return submit(entry)

    bench.recorder.ledger.submit = revoked_meanwhile
    asked = (await bench.refund(6_000)).approval
    assert asked is not None
    assert asked.state == "denied"
    assert bench.authority.approvals.find(asked.id) == asked
    assert not list(bench.authority.approvals.all(pending_only=True, now=bench.clock.now()))


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-05")
async def test_revoking_again_tells_of_the_first_time_and_is_recorded_once():
    bench = await bench_with_vendors()
    first = await revoke_authority(
        bench.recorder, bench.authority, bench.live, revocable("owner", "alice"), by="operator", reason="left"
    )
    second = await revoke_authority(
        bench.recorder,
        bench.authority,
        bench.live,
        revocable("owner", "alice"),
        by="somebody",
        reason="again",
    )
    assert (first.is_new, second.is_new) == (True, False)
    assert second.revocation == first.revocation
    assert len(bench.entries(Tag.REVOKED)) == 1


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-07")
async def test_a_revocation_without_a_record_is_recorded_at_the_next_start_and_names_nobody_in_the_open():
    bench = await bench_with_vendors()
    revoke_now(bench, revocable("owner", "alice"))
    # The process ended here: in force, and not in the ledger.
    with pytest.raises(Refused):
        await bench.act()
    assert await record_revocations(bench.recorder, bench.authority, bench.live, overdue_only=False) == 1
    assert await record_revocations(bench.recorder, bench.authority, bench.live, overdue_only=False) == 0
    [stored] = stored_of(bench, Tag.REVOKED)
    _, fields = bench.opened(stored.index)
    assert b"alice" not in stored.leaf
    assert (fields["person"], fields["by"]) == ("alice", "operator")
    assert not isinstance(read_leaf(stored.leaf), Fault)
    assert Tag.REVOKED in OWED


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-07")
async def test_of_several_processes_the_one_that_revoked_records_first():
    bench = await bench_with_vendors()
    revoke_now(bench, revocable("mandate", "m-1"))
    assert await record_revocations(bench.recorder, bench.authority, bench.live) == 0
    bench.clock.advance(11)
    assert await record_revocations(bench.recorder, bench.authority, bench.live) == 1


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-07")
async def test_a_full_ledger_does_not_keep_anything_from_being_stopped():
    bench = await bench_with_vendors()

    def full(_entry):
        raise Unavailable("no room", code="ledger.full", port="ledger")

    submit, bench.recorder.ledger.submit = bench.recorder.ledger.submit, full
    with pytest.raises(Unavailable):
        await revoke_authority(
            bench.recorder, bench.authority, bench.live, revocable("mandate", "m-1"), by="operator"
        )
    bench.recorder.ledger.submit = submit
    with pytest.raises(Refused) as raised:
        await bench.act()
    assert raised.value.code == "revoked.mandate"
    assert await record_revocations(bench.recorder, bench.authority, bench.live, overdue_only=False) == 1


@pytest.mark.anyio
@pytest.mark.requirement("REVOKE-05")
async def test_what_was_done_over_a_hop_is_found_by_every_name_of_every_hop():
    bench = await bench_with_vendors()
    answer = await bench.act()
    ledger = bench.recorder.ledger
    mandate = bench.authority.mandates.find(MandateId("m-1"))
    assert mandate is not None
    assert answer.intent is not None
    hops = verify(three()).hops
    references = []
    for count, hop in enumerate(hops, 1):
        await cite_hop(bench.recorder, bench.authority, bench.counters, hops[:count], mandate)
        index = ledger.size - 1
        leaf_hash = ledger.entry(index).leaf_hash.hex()
        references.append({"agent": hop.agent, "entry": index, "id": hop.jti, "leaf": leaf_hash})
    # The same action again, as the walk writes it down for who came over these hops.
    intent, end = (parse(ledger.entry(at).leaf) for at in (answer.intent.index, answer.receipt.index))
    handed_on = await ledger.append(entry_of(Tag.INTENT, encode({**intent, "hops": references}), b""))
    await ledger.append(entry_of(Tag.OUTCOME, encode({**end, "intent": handed_on.index}), b""))
    for hop in hops:
        for kind, name in (
            ("token", hop.jti),
            ("hop", hop.hash),
            ("agent", hop.agent),
            ("key", hop.confirmation.thumbprint),
        ):
            found = await effects_under(bench.recorder, bench.authority, RevocationTarget(kind, name))
            assert [one.index for one in found.done] == [handed_on.index], kind
    assert not (
        await effects_under(bench.recorder, bench.authority, RevocationTarget("token", "another"))
    ).done
