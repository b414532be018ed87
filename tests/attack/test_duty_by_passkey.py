"""Delegations of duty that a device signs, and what a stranger finds in them years later."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from answerable.adapters.sqlite import SqlitePasskeyRegister
from answerable.core.approval.deputy_statement import duty_challenge
from answerable.core.approval.duty_by_passkey import verify_kept_duty
from answerable.core.canonical import encode, parse
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors import AnswerableError, Malformed, Unverified
from answerable.flows.escalation.appoint_deputy import delegate_by_passkey, end_duty, open_duty
from answerable.flows.people.remove_passkey import remove_passkey
from answerable.flows.state.passkey_desk import PasskeyState
from answerable.testing.builders import Bench
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.registers import fresh
from answerable.testing.samples import signing_key
from answerable.testing.soft_passkey import ORIGIN, RP_ID, SoftPasskey
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.check_keys import ON_ITS_WAY_MS_MAX
from answerable.verify.citations import Citations
from answerable.verify.duty_shapes import DutyLeaf
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.worlds.duty import DAY, delegate, duty_bench, person, waiting
from tests.worlds.passkey import enrolled

pytestmark = pytest.mark.anyio
HOW = pytest.mark.parametrize("how", ["key", "passkey"])


async def ready() -> tuple[Bench, SoftPasskey]:
    bench = await duty_bench()
    bench.asking.passkeys = PasskeyState(
        register=fresh(SqlitePasskeyRegister), rp_id=RP_ID, origins=(ORIGIN,)
    )
    device = SoftPasskey(seed="bob")
    await enrolled(bench, "bob", device)
    return bench, device


def asked_for(bench: Bench, **changes: Any) -> dict[str, Any]:
    now = bench.clock.now()
    return {
        "iss": "bob",
        "group": "approvers",
        "to": "dan",
        "from_ms": now,
        "until_ms": now + DAY,
        "reason": "away",
        **changes,
    }


async def by_passkey(bench: Bench, device: SoftPasskey, *, signed_in: str = "bob", **changes: Any) -> Any:
    terms, nonce, challenge = open_duty(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, asked_for(bench, **changes)
    )
    return await delegate_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        terms.claims(),
        person=person(signed_in),
        nonce=nonce,
        assertion=device.assertion(challenge),
    )


@pytest.mark.requirement("DUTY-05")
async def test_a_device_signs_exactly_the_terms_and_the_deputy_may_answer_then():
    bench, device = await ready()
    one = await by_passkey(bench, device)
    assert (one.of, one.to, one.strength) == ("bob", "dan", "passkey")
    assert verify_kept_duty(one.token)[0].id == one.id
    assert (await bench.answer(await waiting(bench), by="dan")).state == "approved"
    await remove_passkey(bench.recorder, bench.asking.passkeys, one.credential, by="operator")
    assert (await bench.refund(6000)).outcome is None, "what it was signed with is gone"


@pytest.mark.requirement("DUTY-05")
async def test_terms_that_were_changed_after_they_were_opened_are_refused():
    bench, device = await ready()
    terms, nonce, challenge = open_duty(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, asked_for(bench)
    )
    for change in ({"to": "erin"}, {"until_ms": terms.until + 1}, {"group": "sales"}, {"reason": "x"}):
        claims = {**terms.claims(), **change}
        with pytest.raises(AnswerableError) as raised:
            await delegate_by_passkey(
                bench.recorder,
                bench.authority,
                bench.asking,
                claims,
                person=person("bob"),
                nonce=nonce,
                assertion=device.assertion(challenge),
            )
        assert raised.value.code in ("passkey.challenge", "duty.nonce")
    assert bench.entries(Tag.DUTY) == []


@pytest.mark.requirement("DUTY-05")
async def test_a_nonce_is_good_once_and_for_five_minutes():
    bench, device = await ready()
    terms, nonce, challenge = open_duty(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, asked_for(bench)
    )
    other, other_nonce, _ = open_duty(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, asked_for(bench, to="erin")
    )
    assertion = device.assertion(challenge)
    await delegate_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        terms.claims(),
        person=person("bob"),
        nonce=nonce,
        assertion=assertion,
    )
    with pytest.raises(Unverified):
        await delegate_by_passkey(
            bench.recorder,
            bench.authority,
            bench.asking,
            terms.claims(),
            person=person("bob"),
            nonce=nonce,
            assertion=assertion,
        )
    late = device.assertion(duty_challenge(other, other_nonce))
    bench.clock.advance(301)
    with pytest.raises(Unverified):
        await delegate_by_passkey(
            bench.recorder,
            bench.authority,
            bench.asking,
            other.claims(),
            person=person("bob"),
            nonce=other_nonce,
            assertion=late,
        )


@pytest.mark.requirement("DUTY-05")
async def test_nobody_hands_on_the_duty_of_another_one():
    bench, device = await ready()
    carols = SoftPasskey(seed="carol")
    await enrolled(bench, "carol", carols)
    for signed_in, signer in (("bob", carols), ("carol", device), ("carol", carols)):
        with pytest.raises(Unverified) as raised:
            await by_passkey(bench, signer, signed_in=signed_in)
        assert raised.value.code == "passkey.other"


@pytest.mark.requirement("DUTY-05")
async def test_what_would_be_refused_is_refused_before_anybody_signs():
    bench, _ = await ready()
    for changes, code in (
        ({"to": "frank"}, "duty.not_deputy"),
        ({"iss": "dan", "to": "bob"}, "duty.not_member"),
        ({"until_ms": bench.clock.now() + 15 * DAY}, "duty.too_long"),
        ({"more": 1}, "duty.malformed"),
        ({"from_ms": "now"}, "duty.malformed"),
    ):
        with pytest.raises(AnswerableError) as raised:
            open_duty(
                bench.recorder.ledger,
                bench.authority,
                bench.asking,
                bench.walk.entropy,
                asked_for(bench, **changes),
            )
        assert raised.value.code == code


@pytest.mark.requirement("DUTY-05")
async def test_a_signature_for_an_answer_is_none_for_a_delegation():
    bench, device = await ready()
    terms, nonce, _ = open_duty(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, asked_for(bench)
    )
    from answerable.core.approval.challenge import challenge as answer_challenge

    forged = device.assertion(
        answer_challenge(nonce=nonce, action=bytes(32), rendering=bytes(32), verdict="approve")
    )
    with pytest.raises(Unverified):
        await delegate_by_passkey(
            bench.recorder,
            bench.authority,
            bench.asking,
            terms.claims(),
            person=person("bob"),
            nonce=nonce,
            assertion=forged,
        )


async def ran(how: str, *, ended: bool = False) -> Bench:
    """A refund that a deputy said yes to, and that ran."""
    bench, device = await ready()
    one = await (by_passkey(bench, device) if how == "passkey" else delegate(bench))
    await bench.answer(await waiting(bench), by="dan")
    assert (await bench.refund(6000)).outcome is not None
    if ended:
        await end_duty(bench.recorder, bench.asking.duties, one.id, by="bob")
    return bench


def found(bench: Bench, change: Any = None, *, fields: dict[str, Any] | None = None) -> tuple[list[str], int]:
    """The rules that are broken, and what could not be compared. change: of each leaf. fields: of delegations, as JSON;
    None hides one."""
    check, citations = ShownAnswers(), Citations()
    rules: list[str] = []
    for stored in bench.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        leaf = change(leaf) if change is not None else leaf
        fault = citations.fault(stored.index, leaf, leaf_hash(stored.leaf))
        rules += [fault.rule] if fault is not None else []
        shown = list(disclosures_of(stored, bench.recorder.subject_keys.find) or ())
        if stored.tag == Tag.DUTY and fields:
            shown = [
                msgspec.structs.replace(one, value=msgspec.Raw(encode(fields[one.name])))
                if one.name in fields
                else one
                for one in shown
                if fields.get(one.name, "") is not None
            ]
        check.take(stored.index, leaf, shown)
    return [*rules, *(fault.rule for _, fault in check.faults())], check.unread


@pytest.mark.requirement("DUTY-06")
@HOW
async def test_what_is_as_it_seems_is_found_so_also_where_it_was_ended_afterwards(how):
    assert found(await ran(how)) == ([], 0)
    assert found(await ran(how, ended=True)) == ([], 0)


@pytest.mark.requirement("DUTY-06")
@HOW
async def test_a_delegation_whose_signature_is_hidden_is_counted(how):
    assert found(await ran(how), fields={"token": None}) == ([], 1)


def of(kind: type, **changes: Any) -> Any:
    def one(leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, **changes) if isinstance(leaf, kind) else leaf

    return one


def with_duty(**changes: Any) -> Any:
    def one(leaf: Any) -> Any:
        if not isinstance(leaf, AnswerLeaf):
            return leaf
        return msgspec.structs.replace(leaf, duty=msgspec.structs.replace(leaf.duty, **changes))

    return one


CHANGES: dict[str, Any] = {
    "it lasted until before": of(DutyLeaf, until=1),
    "it began after": of(DutyLeaf, since=2**50),
    "another group": of(DutyLeaf, group="sales"),
    "another deputy": of(DutyLeaf, to="somebody"),
    "another person": of(DutyLeaf, of="somebody"),
    "the answer names another group": with_duty(group="sales"),
    "the answer names another person": with_duty(of="somebody"),
    "the answer names another delegation": with_duty(delegation="x" * 26),
    "the answer is another one's": of(AnswerLeaf, person="somebody"),
    "the answer refers to nothing": of(AnswerLeaf, duty_ref=msgspec.UNSET),
    "the answer says for nobody": of(AnswerLeaf, duty=msgspec.UNSET),
    "it was ended and not given": of(DutyLeaf, change="ended"),
}


@pytest.mark.requirement("DUTY-06")
@HOW
@pytest.mark.parametrize("what", CHANGES)
async def test_after_a_change_it_is_found(how, what):
    rules, _ = found(await ran(how), CHANGES[what])
    assert rules


@pytest.mark.requirement("DUTY-06")
async def test_an_answer_after_the_end_is_found():
    bench = await ran("key", ended=True)
    moved: list[Any] = list(bench.recorder.ledger.replay())
    check = ShownAnswers()
    # As if the end had come first, and long before.
    leaves = [(one.index, read_leaf(one.leaf)) for one in moved]
    ended = next(leaf for _, leaf in leaves if isinstance(leaf, DutyLeaf) and leaf.change == "ended")
    check.take(0, msgspec.structs.replace(ended, at=ended.at - ON_ITS_WAY_MS_MAX - 1), ())
    for index, leaf in leaves:
        if leaf is not ended:
            check.take(index, leaf, ())
    assert "duty.ended" in [fault.rule for _, fault in check.faults()]


@pytest.mark.requirement("DUTY-06")
async def test_an_answer_that_was_on_its_way_while_what_it_was_given_by_was_ended_is_left_open():
    """The end is on record and is in force a moment later; between the two the deputy answers, as they still may."""
    bench = await duty_bench()
    one = await delegate(bench)
    asked = await waiting(bench)
    plain = bench.recorder.ledger
    submitted = asyncio.Event()
    trouble = Trouble(lambda _n, _method: submitted.set())
    bench.recorder.ledger = TroubledLedger(plain, trouble, latency=lambda: 50)
    ending = asyncio.create_task(end_duty(bench.recorder, bench.asking.duties, one.id, by="bob"))
    await submitted.wait()
    await bench.answer(asked, by="dan")
    await ending
    bench.recorder.ledger = plain
    assert [one["change"] for one in bench.entries(Tag.DUTY)] == ["given", "ended"]
    ended, answer = bench.entries(Tag.DUTY)[-1], bench.entries(Tag.APPROVAL_ANSWER)[-1]
    assert answer["index"] > ended["index"]
    assert found(bench)[0] == []
    assert found(bench)[1] >= 1, "nobody can say whether it was in time"
    late = of(AnswerLeaf, at=bench.clock.now() + 11_000)
    assert "duty.ended" in found(bench, late)[0]


@pytest.mark.requirement("DUTY-06")
async def test_a_signature_by_another_key_and_other_names_are_found():
    bench = await ran("key")
    rules, _ = found(bench, fields={"signer": signing_key("carol").public.jwk})
    assert rules == ["approval.signed"]
    rules, _ = found(bench, fields={"to_name": "erin"})
    assert rules == ["duty.signed"]


@pytest.mark.requirement("DUTY-06")
async def test_what_is_kept_of_a_passkey_is_one_reading():
    bench, device = await ready()
    one = await by_passkey(bench, device)
    kept: Any = parse(one.token.encode())
    for change in (
        {"nonce": "short"},
        {"typ": "answerable-approval-passkey"},
        {"key": "b" * 43},
        {"claims": {**kept["claims"], "to": "erin"}},
        {"claims": {}},
        {"more": 1},
    ):
        with pytest.raises((Malformed, Unverified)):
            verify_kept_duty(encode({**kept, **change}).decode())


@pytest.mark.requirement("DUTY-05")
async def test_whoever_opens_again_and_again_fills_no_memory():
    bench, _ = await ready()
    for _ in range(100):
        open_duty(bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, asked_for(bench))
    assert bench.store.rows("SELECT count(*) FROM nonces WHERE about LIKE 'duty %'", ()) == [(32,)]
