"""From the ledger into streams: all of it, once, and nothing from before."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from answerable.core.identity.keys.keys import ed25519_public
from answerable.core.incident.security_event import CREDENTIAL_CHANGE, SESSION_REVOKED
from answerable.core.mandate.revocation import revocable
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Unavailable
from answerable.flows.events.event_desk import EventLimits
from answerable.flows.events.manage_streams import create_stream
from answerable.flows.ledger.announce import announce_new
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.builders import Bench
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.samples import signing_key
from tests.worlds.event import desk_on, stream, waiting
from tests.worlds.obligation import bench_with, obliging

pytestmark = pytest.mark.anyio
THUMBPRINT = "K" * 43


async def bench() -> Bench:
    made = await Bench().registered()
    await made.issue()
    return made


async def revoke(made: Bench, kind: str, name: str) -> None:
    await revoke_authority(
        made.walk.recorder,
        made.walk.authority,
        made.walk.live,
        revocable(kind, name),
        by="alice",
        reason="seen elsewhere",
    )


@pytest.mark.requirement("SSF-03")
async def test_what_the_ledger_says_after_a_stream_was_made_is_in_it_in_order():
    made = await bench()
    await revoke(made, "token", "before")
    desk = desk_on(made)
    desk.register.put(stream())
    await announce_new(desk)
    assert waiting(desk) == []
    await revoke(made, "token", "t-1")
    await made.act()
    await close_mandate(made.walk.recorder, made.walk.authority, made.walk.live, "m-1", by="alice")
    await revoke(made, "key", THUMBPRINT)
    await announce_new(desk)
    kinds = [next(iter(one["events"])) for one in waiting(desk)]
    assert kinds == [SESSION_REVOKED, SESSION_REVOKED, CREDENTIAL_CHANGE]
    assert [one["sub_id"].get("jti") or one["sub_id"].get("id") for one in waiting(desk)][:2] == [
        "t-1", "mandate:m-1",
    ]  # fmt: skip


@pytest.mark.requirement("SSF-01")
async def test_neither_names_of_people_nor_their_words_nor_arguments_are_told():
    made = await bench_with(obliging("notify:leads"))
    desk = desk_on(made)
    desk.register.put(stream())
    desk.register.put(stream("w", receiver="ops", method="webhook", groups=("leads",)))
    await announce_new(desk)
    await made.act()
    await revoke(made, "owner", "bob")
    await close_mandate(made.walk.recorder, made.walk.authority, made.walk.live, "m-1", by="alice")
    await announce_new(desk)
    said = json.dumps([waiting(desk), waiting(desk, "w")])
    assert "m-1" in said
    for never in ("bob", "alice", "seen elsewhere", "4711", "the customer asked"):
        assert never not in said


@pytest.mark.requirement("SSF-03")
@pytest.mark.parametrize("after", ["nothing", "the streams were filled"])
async def test_a_crash_between_the_entry_and_the_streams_loses_and_doubles_nothing(after):
    made = await bench()
    desk = desk_on(made)
    desk.register.put(stream())
    await announce_new(desk)
    await revoke(made, "token", "t-1")
    if after == "the streams were filled":
        await announce_new(desk)
    await revoke(made, "token", "t-2")
    # Another process of the same name begins, with what is kept and no more.
    again = replace(desk, read_to=None)
    await announce_new(again)
    await announce_new(replace(desk, read_to=None))
    assert [one["sub_id"]["jti"] for one in waiting(desk)] == ["t-1", "t-2"]


@pytest.mark.requirement("SSF-03")
async def test_a_register_that_fails_in_between_is_asked_again_with_the_same():
    made = await bench()
    desk = desk_on(made)
    desk.register.put(stream())
    await announce_new(desk)
    await revoke(made, "token", "t-1")
    whole, fails = desk.register.add, [True]

    def add(*arguments, **named):
        if fails.pop() if fails else False:
            raise Unavailable("the disk is gone", code="register.unavailable", port="register")
        return whole(*arguments, **named)

    desk.register.add = add
    with pytest.raises(Unavailable):
        await announce_new(desk)
    await announce_new(desk)
    assert [one["sub_id"]["jti"] for one in waiting(desk)] == ["t-1"]


@pytest.mark.requirement("SSF-03")
async def test_a_process_that_starts_late_tells_a_stream_nothing_from_before_it_knew_it():
    made = await bench()
    await revoke(made, "token", "before")
    desk = desk_on(made)
    # Made by another process, of whose log it has heard; ours it has not.
    desk.register.put(stream(since={"another.log": 3}))
    await announce_new(desk)
    await revoke(made, "token", "t-1")
    await announce_new(desk)
    assert [one["sub_id"]["jti"] for one in waiting(desk)] == ["t-1"]


@pytest.mark.requirement("SSF-03")
async def test_each_process_announces_its_own_log_into_the_same_streams():
    here = await bench()
    key = signing_key("other")
    verifier = VerifierKey.ed25519("other.example/log", ed25519_public(key.public))
    there = await Bench(ledger=MemoryLedger(key=verifier, sign=key.sign, clock=here.clock)).registered()
    await revoke(there, "token", "before")
    one = desk_on(here)
    other = desk_on(there, register=one.register)
    one.register.put(stream(since={here.walk.recorder.ledger.origin: here.walk.recorder.ledger.size}))
    for desk in (one, other, one):
        await announce_new(desk)
    await revoke(there, "token", "t-there")
    await revoke(here, "token", "t-here")
    for desk in (one, other, replace(other, read_to=None)):
        await announce_new(desk)
    assert [told["sub_id"]["jti"] for told in waiting(one)] == ["t-here", "t-there"]
    assert [told["txn"].rpartition("/")[0] for told in waiting(one)] == [
        here.walk.recorder.ledger.origin, "other.example/log",
    ]  # fmt: skip


async def test_a_stream_that_is_disabled_or_of_nobody_who_is_listed_is_told_nothing():
    made = await bench()
    desk = desk_on(made)
    desk.register.put(stream("off", status="disabled"))
    desk.register.put(stream("foreign", receiver="stranger"))
    desk.register.put(stream("held", status="paused"))
    await announce_new(desk)
    await revoke(made, "token", "t-1")
    await announce_new(desk)
    assert [len(waiting(desk, name)) for name in ("off", "foreign", "held")] == [0, 0, 1]


async def test_a_long_log_is_read_on_in_parts():
    made = await bench()
    desk = desk_on(made)
    desk.register.put(stream())
    await announce_new(desk)
    for number in range(450):
        await revoke(made, "token", f"t-{number}")
    await announce_new(desk)
    assert len(waiting(desk)) == 450
    assert (
        desk.read_to
        == made.walk.recorder.ledger.size
        == desk.register.read_to(made.walk.recorder.ledger.origin)
    )


async def test_without_streams_nothing_is_read_and_nothing_kept():
    made = await bench()
    desk = desk_on(made)
    await revoke(made, "token", "t-1")
    await announce_new(desk)
    assert desk.read_to == made.walk.recorder.ledger.size
    assert desk.register.read_to(made.walk.recorder.ledger.origin) is None


@pytest.mark.requirement("SSF-08")
async def test_a_stream_that_is_full_is_paused_and_says_how_many_it_was_not_sent():
    made = await bench()
    desk = desk_on(made, limits=EventLimits(waiting_max=3))
    desk.register.put(stream())
    desk.register.put(stream("other"))
    await announce_new(desk)
    for number in range(5):
        await revoke(made, "token", f"t-{number}")
        desk.register.taken(
            "other", [one.id for one in desk.register.waiting("other", count_max=9)], only_shown=False
        )
        await announce_new(desk)
    found = desk.register.find("s-1")
    assert (found.status, found.left_out) == ("paused", 2)
    assert found.reason == "2 events were left out so far, because 3 waited already"
    assert found.update
    assert desk.register.queue("s-1").left_out == 2
    assert [one["sub_id"]["jti"] for one in waiting(desk)] == ["t-0", "t-1", "t-2"]
    assert desk.register.find("other").status == "enabled"


@pytest.mark.requirement("SSF-08", "HOOK-03")
async def test_a_crash_between_counting_what_is_left_out_and_saying_so_is_made_good_at_the_next_start():
    made = await bench()
    desk = desk_on(made, limits=EventLimits(waiting_max=3))
    desk.register.put(stream())
    desk.register.put(stream("hook", receiver="ops", method="webhook"))
    await announce_new(desk)
    put = desk.register.put
    desk.register.put = lambda _: (_ for _ in ()).throw(Unavailable("gone", code="gone", port="register"))
    for number in range(5):
        await revoke(made, "token", f"t-{number}")
    with pytest.raises(Unavailable):
        await announce_new(desk)
    desk.register.put = put
    assert desk.register.find("s-1").status == "enabled"
    again = desk_on(made, limits=desk.limits)
    again.register = desk.register
    await announce_new(again)
    found = again.register.find("s-1")
    assert (found.status, found.left_out) == ("paused", 2)
    assert again.register.find("hook").update
    assert again.register.queue("s-1").left_out == 2


@pytest.mark.requirement("HOOK-02")
async def test_what_a_policy_tells_a_group_reaches_the_webhooks_of_that_group_alone():
    made = await bench_with(obliging("notify:leads; notify:finance"))
    desk = desk_on(made)
    desk.register.put(stream("leads", receiver="ops", method="webhook", groups=("leads",), stops=False))
    desk.register.put(stream("sales", receiver="ops", method="webhook", groups=("sales",), stops=False))
    desk.register.put(stream("stops", receiver="ops", method="webhook"))
    await announce_new(desk)
    answer = await made.act()
    await revoke(made, "token", "t-1")
    await announce_new(desk)
    (notice,) = waiting(desk, "leads")
    assert notice["type"] == "answerable.group.notified"
    assert notice["subject"] == "leads"
    assert notice["data"]["agent"] == "scout"
    assert notice["data"]["action"] == answer.action_id
    assert notice["data"]["capability"] == "crm.read"
    assert "4711" not in json.dumps(notice)
    assert waiting(desk, "sales") == []
    assert [one["type"] for one in waiting(desk, "stops")] == ["answerable.token.revoked"]


@pytest.mark.requirement("SSF-03")
async def test_a_stream_that_is_made_while_the_log_is_read_late_hears_nothing_from_before_it():
    made = await bench()
    desk = desk_on(made)
    desk.register.put(stream())
    await announce_new(desk)
    await revoke(made, "token", "t-1")
    late = (await create_stream(desk, "scout", {}))["stream_id"]
    await revoke(made, "token", "t-2")
    await announce_new(desk)
    assert [one["sub_id"]["jti"] for one in waiting(desk)] == ["t-1", "t-2"]
    assert [one["sub_id"]["jti"] for one in waiting(desk, late)] == ["t-2"]
