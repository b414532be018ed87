"""What a signature over a list of approvals is worth: nothing for anything else, and a check years later for each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from answerable.core.approval.batch import batch_challenge, batch_of
from answerable.core.approval.batch_answer import verify_kept_batch
from answerable.core.approval.challenge import challenge
from answerable.core.approval.words import NO_WORDS, words_of
from answerable.core.identity.names.principal import PrincipalId
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.flows.approval.answer_approval import answer_by_passkey
from answerable.flows.approval.answer_many import answer_many, answer_many_by_passkey, open_many
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.fault_injection import Trouble, TroubledLedger
from answerable.testing.samples import signing_key
from answerable.testing.soft_passkey import SoftPasskey
from tests.attack.test_answering_many import states, token_for
from tests.attack.test_check_answers import found
from tests.worlds.alike import answer_all, asked_many, pay, paying_bench, paying_documents, seen
from tests.worlds.parts import to_apply
from tests.worlds.passkey import enrolled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.approval.approval import Approval
    from answerable.testing.builders import Bench

pytestmark = pytest.mark.anyio


def _arguments(number: int) -> dict[str, Any]:
    return {"invoice": f"INV-{number:04d}", "payee": "Acme GmbH", "amount": 100 + number % 50}


@pytest.mark.requirement("GROUP-04")
async def test_a_signature_over_one_is_none_over_a_list_and_the_other_way_round():
    bench = await paying_bench()
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    waiting = await asked_many(bench, 4)
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    )
    one = waiting[0]
    alone = challenge(
        nonce=opened.nonce,
        action=one.shown.digest,
        rendering=one.card.digest,
        verdict="approve",
        words=NO_WORDS,
    )
    with pytest.raises(Unverified) as told:
        await _by_passkey(bench, waiting, device, alone, opened.nonce)
    assert told.value.code == "passkey.challenge"
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    )
    signed = batch_challenge(
        nonce=opened.nonce, root=opened.batch.root, size=opened.batch.size, verdict="approve", words=NO_WORDS
    )
    with pytest.raises(Unverified):
        await answer_by_passkey(
            bench.recorder,
            bench.authority,
            bench.asking,
            bench.counters,
            one.id,
            person=PrincipalId("bob"),
            verdict="approve",
            comment="",
            nonce=opened.nonce,
            assertion=device.assertion(signed),
        )
    token = token_for(bench, [one], opened.nonce)
    with pytest.raises(AnswerableError):
        await bench_answer_token(bench, one, token)
    assert set(states(bench, waiting)) == {"pending"}


async def bench_answer_token(bench: Bench, approval: Approval, token: str) -> None:
    from answerable.flows.approval.answer_approval import answer_approval

    await answer_approval(bench.recorder, bench.authority, bench.asking, bench.counters, approval.id, token)


async def _by_passkey(
    bench: Bench,
    approvals: Sequence[Approval],
    device: SoftPasskey,
    signed: bytes,
    nonce: bytes,
    *,
    person: str = "bob",
    verdict: Any = "approve",
) -> Any:
    return await answer_many_by_passkey(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        [one.id for one in approvals],
        person=PrincipalId(person),
        verdict=verdict,
        words=words_of(verdict),
        nonce=nonce,
        assertion=device.assertion(signed),
    )


@pytest.mark.requirement("GROUP-04")
async def test_what_was_signed_is_worth_nothing_for_another_list_verdict_person_or_time():
    bench = await paying_bench()
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    waiting = await asked_many(bench, 6)
    some = waiting[:5]

    def nonce() -> bytes:
        return open_many(
            bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(some), "approve"
        ).nonce

    now = bench.clock.now()
    wrong: dict[str, tuple[Sequence[Approval], str]] = {
        "approval.other": (some, token_for(bench, waiting, nonce())),
        "approval.key": (some, token_for(bench, some, nonce(), key="carol")),
        "approval.audience": (some, token_for(bench, some, nonce(), audience="elsewhere.test")),
        "approval.stale": (some, token_for(bench, some, nonce(), at=type(now)(now - 600_000))),
        "approval.nonce": (some, token_for(bench, some, bytes(32))),
    }
    changed = [*waiting[:4], replace(waiting[4], card=waiting[5].card)]
    for code, (sent, token) in [
        *wrong.items(),
        ("approval.other", (some, token_for(bench, changed, nonce()))),
    ]:
        with pytest.raises(Unverified) as told:
            await answer_many(
                bench.recorder, bench.authority, bench.asking, bench.counters, [one.id for one in sent], token
            )
        assert told.value.code == code
    with pytest.raises(Malformed):
        token_for(bench, some, nonce(), comment="x" * 1001)
    with pytest.raises(Malformed):
        token_for(bench, some, nonce(), verdict="deny", reason="narrower")

    def signed(given: bytes, verdict: Any = "approve") -> bytes:
        batch = batch_of(some)
        return batch_challenge(
            nonce=given, root=batch.root, size=batch.size, verdict=verdict, words=words_of(verdict)
        )

    given = nonce()
    with pytest.raises(Unverified):
        await _by_passkey(bench, some, device, signed(given, "deny"), given)
    given = nonce()
    with pytest.raises(Unverified):
        await _by_passkey(bench, waiting, device, signed(given), given)
    given = nonce()
    with pytest.raises(Unverified):
        await _by_passkey(bench, some, device, signed(given), given, person="carol")
    given = nonce()
    bench.clock.advance(301)
    with pytest.raises(Unverified):
        await _by_passkey(bench, some, device, signed(given), given)
    assert set(states(bench, waiting)) == {"pending"}
    given = nonce()
    assert len((await _by_passkey(bench, some, device, signed(given), given)).answered) == 5
    with pytest.raises(Unverified):
        await _by_passkey(bench, some, device, signed(given), given)


@pytest.mark.requirement("GROUP-04")
async def test_what_is_shown_otherwise_than_it_was_seen_is_left_out_before_anything_is_signed():
    bench = await paying_bench()
    waiting = await asked_many(bench, 5)
    shown = {**seen(waiting), waiting[1].id: waiting[2].card.hex}
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, shown, "approve"
    )
    assert list(opened.left_out) == [waiting[1].id]
    assert opened.batch.size == 4
    with pytest.raises(Refused) as told:
        open_many(
            bench.recorder.ledger,
            bench.authority,
            bench.asking,
            bench.walk.entropy,
            {"nobody": "", "none": "", "nothing": ""},
            "approve",
        )
    assert told.value.code == "approval.none_alike"


@pytest.mark.requirement("GROUP-04")
async def test_of_two_who_answer_the_same_list_at_once_each_item_counts_once():
    bench = await paying_bench()
    waiting = await asked_many(bench, 6)
    one, other = await asyncio.gather(
        answer_all(bench, waiting), answer_all(bench, waiting, by="carol", verdict="deny")
    )
    assert len(one.answered) + len(other.answered) == 6
    assert len(bench.entries(Tag.APPROVAL_ANSWER)) == 6
    assert len(one.left_out) + len(other.left_out) == 6


@pytest.mark.requirement("GROUP-04")
async def test_what_the_ledger_did_not_take_is_named_and_what_it_took_counts():
    bench = await paying_bench()
    waiting = await asked_many(bench, 6)
    struck = iter([None, None, "full"])
    plain = bench.recorder.ledger
    bench.recorder.ledger = TroubledLedger(
        plain,
        Trouble(lambda _n, method: next(struck, None) if "submit" in method else None),
    )
    after = await answer_all(bench, waiting)
    assert (len(after.answered), len(after.left_out)) == (5, 1)
    bench.recorder.ledger = plain
    assert sorted(states(bench, waiting)) == ["approved"] * 5 + ["pending"]
    fresh = [await pay(bench, number) for number in range(20, 24)]
    bench.recorder.ledger = TroubledLedger(
        plain, Trouble(lambda _n, method: "full" if "submit" in method else None)
    )
    with pytest.raises(Unavailable):
        await answer_all(bench, fresh)


@pytest.mark.requirement("GROUP-05")
@pytest.mark.parametrize("how", ["key", "passkey"])
async def test_what_one_approval_keeps_checks_alone_and_after_any_change_does_not(how: str):
    bench = await paying_bench()
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    waiting = await asked_many(bench, 5)
    after = await answer_all(bench, waiting, device=device if how == "passkey" else None)
    signer = None if how == "passkey" else signing_key("bob").public
    text = after.answered[2].answers[0].token
    from answerable.core.canonical import encode, parse

    def changed(name: str, value: Any) -> str:
        kept: Any = parse(text.encode())
        at = kept
        *above, last = name.split("/")
        for part in above:
            at = at[part]
        at[last] = value
        return encode(kept).decode()

    other: Any = parse(after.answered[3].answers[0].token.encode())
    wrong = [
        ("item", other["item"]),
        ("item/approval", "another"),
        ("item/rendering", "0" * 64),
        ("item/action", "0" * 64),
        ("item/action", "AB" * 32),
        ("index", 1),
        ("index", -1),
        ("size", 6),
        ("size", 0),
        ("size", 10**9),
        ("root", "0" * 64),
        ("root", "0"),
        ("path", other["path"]),
        ("path", []),
        ("path", ["x"]),
        ("typ", "answerable-approval-batch/2"),
        ("more", "x"),
        ("jws", "x.y.z"),
    ]
    if how == "passkey":
        wrong += [
            ("passkey/verdict", "deny"),
            ("passkey/key", "x"),
            ("passkey/nonce", "A" * 43),
            ("passkey/comment", "later"),
        ]
        wrong += [("passkey/reason", "other")]
        wrong += [("passkey", None)]
    for name, value in wrong:
        with pytest.raises((Malformed, Unverified)):
            verify_kept_batch(changed(name, value), signer)
    if how == "key":
        with pytest.raises(Unverified):
            verify_kept_batch(text, None)
        with pytest.raises(Unverified):
            verify_kept_batch(text, signing_key("carol").public)
        elsewhere = batch_of(waiting[:4])
        jws = token_for(bench, waiting[:4], bytes(32))
        from answerable.core.approval.batch_answer import kept_by_key

        mixed: Any = parse(kept_by_key(elsewhere, 2, jws=jws).encode())
        with pytest.raises(Unverified):
            verify_kept_batch(changed("jws", mixed["jws"]), signer)
    assert verify_kept_batch(text, signer).approval == after.answered[2].id


@pytest.mark.requirement("GROUP-05")
@pytest.mark.parametrize("how", ["key", "passkey"])
async def test_a_stranger_finds_in_a_bundle_what_was_changed_in_an_answer_to_many(how: str):
    bench = await paying_bench()
    await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
    waiting = await asked_many(bench, 4)
    after = await answer_all(bench, waiting, device=device if how == "passkey" else None)
    assert found(bench) == ([], 0)
    other = after.answered[1].answers[0].token
    assert "approval.answer" in found(bench, {(Tag.APPROVAL_ANSWER, "token"): other})[0]
    broken = other.replace('"index":1', '"index":0')
    assert found(bench, {(Tag.APPROVAL_ANSWER, "token"): broken})[0] == ["approval.signed"] * 4
    if how == "key":
        assert found(bench, {(Tag.APPROVAL_ANSWER, "signer"): None}) == ([], 4)


@pytest.mark.requirement("GROUP-05")
async def test_once_the_key_that_signed_the_list_is_gone_none_of_it_runs_by_it():
    bench = await paying_bench()
    waiting = await asked_many(bench, 4)
    await answer_all(bench, waiting, by="carol")
    left = [d for d in paying_documents() if not (isinstance(d, dict) and d["metadata"] == {"name": "carol"})]
    await apply_registry(*to_apply(bench.walk), left, by="operator", prune=True)
    assert (await bench.act("pay", _arguments(0), mandate="m-pay")).outcome is None
    assert not bench.upstream.effects


@pytest.mark.requirement("GROUP-04")
async def test_a_list_that_waits_no_more_or_is_not_known_gets_no_answer():
    bench = await paying_bench()
    waiting = await asked_many(bench, 4)
    opened = open_many(
        bench.recorder.ledger, bench.authority, bench.asking, bench.walk.entropy, seen(waiting), "approve"
    )
    assert len((await answer_all(bench, waiting, by="carol")).answered) == 4
    late = await answer_many(
        bench.recorder,
        bench.authority,
        bench.asking,
        bench.counters,
        [one.id for one in waiting],
        token_for(bench, waiting, opened.nonce),
    )
    assert (late.answered, len(late.left_out)) == ((), 4)
    with pytest.raises(Refused) as told:
        await answer_many(
            bench.recorder,
            bench.authority,
            bench.asking,
            bench.counters,
            ["nothing"],
            token_for(bench, waiting, opened.nonce),
        )
    assert told.value.code == "approval.unknown"
    assert len(bench.entries(Tag.APPROVAL_ANSWER)) == 4
