"""People bring passkeys in by invitation, sign in with them, and lose them; the ledger knows all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.core.containment.hold import holdable
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.identity.people.passkey import PASSKEYS_OF_ONE_MAX
from answerable.core.incident.timeline import Moment, told
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Unavailable
from answerable.flows.people.confirm_person import SessionSeen, begin_confirmation, finish_confirmation
from answerable.flows.people.enrol_passkey import begin_enrolment, begin_own_enrolment, finish_enrolment
from answerable.flows.people.invite_person import invite_person
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.people.sign_in import begin_sign_in, finish_sign_in
from answerable.flows.recovery.recall_passkeys import RecalledPasskeys
from answerable.flows.recovery.settle_open_intents import record_counted_refusals
from answerable.flows.revocation.place_hold import place_hold
from answerable.flows.state.passkey_desk import CEREMONY_SECONDS_MAX
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from answerable.testing.soft_passkey import SoftPasskey
from answerable.verify.leaf_shapes import SHAPES
from tests.worlds.parts import to_hold, to_sign_in
from tests.worlds.passkey import ADMIN, enrolled, passkey_bench, signed_in
from tests.worlds.walk import fields_of, stored_of

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("PASSKEY-03")]


async def refused(call: Any) -> str:
    try:
        found = call()
        if hasattr(found, "__await__"):
            await found
    except AnswerableError as error:
        return error.code
    pytest.fail("it was not refused")


async def disabled(bench: Bench, person: str) -> None:
    documents = bench_documents()
    for one in documents:
        match one:
            case {"kind": "Principal", "metadata": {"name": name}, "spec": dict(spec)} if name == person:
                spec["status"] = "disabled"
    await bench.registered(documents)


async def test_an_invited_person_brings_a_passkey_in_and_signs_in_with_it():
    bench = await passkey_bench()
    device = SoftPasskey(seed="alice")
    passkey = await enrolled(bench, "alice", device)
    assert (passkey.person, passkey.label) == ("alice", "alice's phone")
    assert signed_in(bench, device).person == "alice"
    invited, added = (leaf_of(one) for one in stored_of(bench, Tag.PASSKEY))
    assert (invited["change"], added["change"], added["key"]) == ("invited", "added", passkey.key)
    assert invited["person"] == added["person"]
    assert invited["invitation"] == added["invitation"]
    assert "alice" not in str(invited) + str(added)
    assert [one["by"] for one in fields_of(bench, Tag.PASSKEY)] == [ADMIN, ADMIN]


async def test_the_code_is_in_no_entry_and_in_no_repr():
    bench = await passkey_bench()
    invited = await invite_person(bench.recorder, *to_sign_in(bench.walk), "alice", by=ADMIN)
    said = repr(invited) + str(fields_of(bench, Tag.PASSKEY)) + str(bench.entries(Tag.PASSKEY))
    assert invited.code not in said
    assert invited.code.removeprefix("ainv_") not in said


async def test_an_invitation_is_good_for_one_passkey_within_its_time():
    bench = await passkey_bench()
    invited = await invite_person(bench.recorder, *to_sign_in(bench.walk), "alice", by=ADMIN)
    first, second = (
        begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, invited.code, browser="b")
        for _ in range(2)
    )
    await finish_enrolment(
        bench.recorder,
        *to_sign_in(bench.walk),
        first.id,
        SoftPasskey(seed="a").registration(first.challenge),
        label="a",
        browser="b",
    )
    late = SoftPasskey(seed="b").registration(second.challenge)
    assert (
        await refused(
            lambda: finish_enrolment(
                bench.recorder, *to_sign_in(bench.walk), second.id, late, label="b", browser="b"
            )
        )
        == "invitation.refused"
    )
    assert (
        await refused(
            lambda: begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, invited.code, browser="b")
        )
        == "invitation.refused"
    )
    other = await invite_person(bench.recorder, *to_sign_in(bench.walk), "alice", by=ADMIN, seconds=60)
    bench.clock.advance(60.0)
    assert (
        await refused(
            lambda: begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, other.code, browser="b")
        )
        == "invitation.refused"
    )
    for code in ("", "ainv_", "ainv_" + "A" * 22, invited.code + "A", "ajt_" + "A" * 43):
        assert (
            await refused(
                lambda code=code: begin_enrolment(
                    *to_sign_in(bench.walk), bench.walk.entropy, code, browser="b"
                )
            )
            == "invitation.refused"
        )


async def test_each_challenge_is_answered_once_in_time_and_for_what_it_was_made():
    bench = await passkey_bench()
    device = SoftPasskey(seed="alice")
    await enrolled(bench, "alice", device)
    begun = begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
    answer = device.assertion(begun.challenge)
    assert finish_sign_in(*to_sign_in(bench.walk), begun.id, answer, browser="b").person == "alice"
    assert (
        await refused(lambda: finish_sign_in(*to_sign_in(bench.walk), begun.id, answer, browser="b"))
        == "passkey.ceremony"
    )
    later = begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
    assert (
        await refused(lambda: finish_sign_in(*to_sign_in(bench.walk), later.id, answer, browser="b"))
        == "passkey.challenge"
    )
    slow = begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
    bench.clock.advance(CEREMONY_SECONDS_MAX)
    answer = device.assertion(slow.challenge)
    assert (
        await refused(lambda: finish_sign_in(*to_sign_in(bench.walk), slow.id, answer, browser="b"))
        == "passkey.ceremony"
    )
    own = begin_own_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, "alice", session="s")
    answer = device.assertion(own.challenge)
    assert (
        await refused(lambda: finish_sign_in(*to_sign_in(bench.walk), own.id, answer, browser="b"))
        == "passkey.purpose"
    )


async def test_what_only_one_person_may_answer_no_other_does():
    bench = await passkey_bench()
    hers, his = SoftPasskey(seed="alice"), SoftPasskey(seed="bob")
    await enrolled(bench, "alice", hers)
    await enrolled(bench, "bob", his)
    seen = SessionSeen(name="0" * 16, person=PrincipalId("alice"), browser="b", address="192.0.2.7")

    async def confirmed(device: SoftPasskey) -> None:
        begun = begin_confirmation(*to_sign_in(bench.walk), bench.walk.entropy, seen)
        await finish_confirmation(
            bench.recorder, *to_sign_in(bench.walk), seen, begun.id, device.assertion(begun.challenge)
        )

    await confirmed(hers)
    assert await refused(lambda: confirmed(his)) == "passkey.other"
    assert await refused(lambda: confirmed(SoftPasskey(seed="nobody"))) == "passkey.other"
    assert await refused(lambda: signed_in(bench, SoftPasskey(seed="nobody"))) == "passkey.unknown"
    [told, _] = [leaf for one in stored_of(bench, Tag.PASSKEY) if "session" in (leaf := leaf_of(one))]
    assert (told["code"], told["session"]) == ("passkey.other", seen.name)


async def test_a_copied_passkey_is_noticed_by_its_count():
    bench = await passkey_bench()
    device = SoftPasskey(seed="alice")
    await enrolled(bench, "alice", device)
    copy = SoftPasskey(seed="alice", count=device.count)
    signed_in(bench, device)
    assert await refused(lambda: signed_in(bench, copy)) == "passkey.counter"


async def test_who_is_disabled_held_or_unknown_neither_signs_in_nor_is_invited():
    bench = await passkey_bench(groups=())
    device = SoftPasskey(seed="alice")
    passkey = await enrolled(bench, "alice", device)
    assert (
        await refused(lambda: invite_person(bench.recorder, *to_sign_in(bench.walk), "mallory", by=ADMIN))
        == "person.unknown"
    )
    await place_hold(*to_hold(bench.walk), holdable("key", passkey.key), by=ADMIN)
    assert await refused(lambda: signed_in(bench, device)) == "held.key"
    await place_hold(*to_hold(bench.walk), holdable("owner", "bob"), by=ADMIN)
    assert (
        await refused(lambda: invite_person(bench.recorder, *to_sign_in(bench.walk), "bob", by=ADMIN))
        == "held.owner"
    )
    await disabled(bench, "carol")
    assert await refused(lambda: invite_person(bench.recorder, *to_sign_in(bench.walk), "carol", by=ADMIN)) in (
        "person.unknown", "person.disabled",
    )  # fmt: skip


async def test_where_groups_are_named_only_their_members_sign_in():
    bench = await passkey_bench(groups=("approvers",))
    assert (
        await refused(lambda: invite_person(bench.recorder, *to_sign_in(bench.walk), "dan", by=ADMIN))
        == "person.group"
    )
    assert (await enrolled(bench, "carol")).person == "carol"


async def test_where_the_console_is_off_nobody_is_invited_and_nobody_signs_in():
    bench = await Bench().registered()
    assert (
        await refused(lambda: invite_person(bench.recorder, *to_sign_in(bench.walk), "alice", by=ADMIN))
        == "passkey.off"
    )
    assert (
        await refused(
            lambda: begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
        )
        == "passkey.off"
    )


async def test_a_removed_passkey_opens_nothing_and_the_ledger_says_who_removed_it():
    bench = await passkey_bench()
    device = SoftPasskey(seed="alice")
    passkey = await enrolled(bench, "alice", device)
    assert await refused(
        lambda: remove_passkey(bench.recorder, bench.asking.passkeys, passkey.name, by="bob", person="bob")
    ) == ("passkey.unknown")
    await remove_passkey(bench.recorder, bench.asking.passkeys, passkey.name, by=ADMIN)
    assert await refused(lambda: signed_in(bench, device)) == "passkey.unknown"
    assert (
        await refused(lambda: remove_passkey(bench.recorder, bench.asking.passkeys, passkey.name, by=ADMIN))
        == "passkey.unknown"
    )
    [leaf] = bench.entries(Tag.PASSKEY_REMOVED)
    assert leaf["key"] == passkey.key


async def test_a_person_has_a_bounded_number_of_passkeys():
    bench = await passkey_bench()
    for number in range(PASSKEYS_OF_ONE_MAX):
        await enrolled(bench, "alice", SoftPasskey(seed=f"d{number}"))
    assert (
        await refused(
            lambda: begin_own_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, "alice", session="s")
        )
        == "passkey.full"
    )


async def test_ceremonies_under_way_are_bounded_and_those_that_are_over_make_room():
    bench = await passkey_bench(ceremonies_max=3)
    for _ in range(3):
        begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
    with pytest.raises(Unavailable) as raised:
        begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")
    assert raised.value.code == "passkey.busy"
    bench.clock.advance(CEREMONY_SECONDS_MAX)
    begin_sign_in(bench.asking.passkeys, bench.clock, bench.walk.entropy, browser="b")


async def test_refused_sign_ins_are_told_in_one_entry_by_why():
    bench = await passkey_bench()
    for _ in range(3):
        await refused(lambda: signed_in(bench, SoftPasskey(seed="nobody")))
    await refused(lambda: begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, "guess", browser="b"))
    assert bench.entries(Tag.PASSKEY) == []
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    [leaf] = bench.entries(Tag.PASSKEY)
    assert leaf["counts"] == {"invitation.refused": 1, "passkey.unknown": 3}


async def test_a_register_without_memory_is_made_again_from_the_ledger():
    bench = await passkey_bench()
    kept, gone = SoftPasskey(seed="alice"), SoftPasskey(seed="bob")
    passkey = await enrolled(bench, "alice", kept)
    removed = await enrolled(bench, "bob", gone)
    invited = await invite_person(bench.recorder, *to_sign_in(bench.walk), "carol", by=ADMIN)
    begun = begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, invited.code, browser="b")
    her_phone = SoftPasskey(seed="carol").registration(begun.challenge)
    await finish_enrolment(
        bench.recorder, *to_sign_in(bench.walk), begun.id, her_phone, label="c", browser="b"
    )
    await remove_passkey(bench.recorder, bench.asking.passkeys, removed.name, by=ADMIN)
    desk = bench.asking.passkeys
    assert desk is not None
    older = fresh(SqlitePasskeyRegister)
    older.invite(replace(invited.invitation, used_at=None))
    older.add(removed)
    desk.register = older
    recalled = RecalledPasskeys(
        subject_keys=bench.recorder.subject_keys, passkeys=bench.asking.passkeys, clock=bench.clock
    )
    for stored in stored_of(bench, Tag.PASSKEY, Tag.PASSKEY_REMOVED):
        recalled.note(stored)
    assert await recalled.restored() == 2
    assert {one.person for one in older.all()} == {"alice", "carol"}
    assert older.find(passkey.id) == passkey
    assert (
        await refused(
            lambda: begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, invited.code, browser="b")
        )
        == "invitation.refused"
    )
    with pytest.raises(Malformed):
        older.add(removed)
    again = RecalledPasskeys(
        subject_keys=bench.recorder.subject_keys, passkeys=bench.asking.passkeys, clock=bench.clock
    )
    for stored in stored_of(bench, Tag.PASSKEY, Tag.PASSKEY_REMOVED):
        again.note(stored)
    assert await again.restored() == 0


async def test_each_entry_has_the_shape_that_is_verified_and_a_sentence():
    import msgspec

    bench = await passkey_bench()
    passkey = await enrolled(bench, "alice")
    await remove_passkey(bench.recorder, bench.asking.passkeys, passkey.name, by=ADMIN)
    await refused(lambda: begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, "guess", browser="b"))
    await record_counted_refusals(bench.recorder, bench.asking.passkeys, bench.counters.quota)
    texts = []
    for stored in stored_of(bench, Tag.PASSKEY, Tag.PASSKEY_REMOVED):
        msgspec.json.decode(stored.leaf, type=SHAPES[stored.tag])
        leaf, payload = bench.opened(stored.index)
        texts.append(told(Moment(index=stored.index, tag=stored.tag, leaf=leaf, payload=payload)).text)
    assert texts == [
        "uid:1000 invited alice to bring in a passkey until 2026-11-18T11:21:40Z.",
        "alice brought in a passkey by an invitation of uid:1000.",
        "uid:1000 removed passkey alice's phone of alice.",
        "Sign-ins of people were refused and only counted: 1 invitation.refused.",
    ]


async def test_when_the_ledger_takes_nothing_no_invitation_is_good_and_no_passkey_comes_in():
    bench = await passkey_bench()
    desk = bench.asking.passkeys
    assert desk is not None
    invited = await invite_person(bench.recorder, *to_sign_in(bench.walk), "alice", by=ADMIN)
    begun = begin_enrolment(*to_sign_in(bench.walk), bench.walk.entropy, invited.code, browser="b")
    made = SoftPasskey(seed="alice").registration(begun.challenge)

    class Full:
        def __getattr__(self, name: str) -> Any:
            raise Unavailable("no room", code="ledger.full", port="ledger")

    bench.recorder.ledger = Full()
    with pytest.raises(Unavailable):
        await finish_enrolment(
            bench.recorder, *to_sign_in(bench.walk), begun.id, made, label="a", browser="b"
        )
    assert desk.register.all() == ()
    with pytest.raises(Unavailable):
        await invite_person(bench.recorder, *to_sign_in(bench.walk), "bob", by=ADMIN)
