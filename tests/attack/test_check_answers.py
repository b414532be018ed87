"""What a stranger finds in people's answers, years later, with nothing but the entries that are shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.core.canonical import encode, freeze, parse
from answerable.core.ledger.disclosure import Disclosure
from answerable.core.ledger.opened import disclosures_of, leaf_of
from answerable.core.ledger.tags import Tag
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE, approval, signing_key
from answerable.testing.soft_passkey import SoftPasskey
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.attack.test_passkey_answers import answered
from tests.worlds.ledger_files import SMALL
from tests.worlds.passkey import enrolled, passkey_bench
from tests.worlds.selected import selected

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SIGN-08")]
ABOUT = (Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT, Tag.PASSKEY)


async def ran(how: str) -> Bench:
    """A refund that somebody said yes to, and that ran."""
    bench = await passkey_bench()
    await bench.issue()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    if how == "passkey":
        await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
        await answered(bench, asked, device)
    else:
        await bench.answer(asked)
    assert (await bench.refund(6000)).outcome is not None
    return bench


def found(
    bench: Bench,
    change: dict[tuple[Tag, str], Any] | None = None,
    leaf_change: Callable[[Any], Any] = lambda leaf: leaf,
    about: tuple[Tag, ...] = ABOUT,
) -> tuple[list[str], int]:
    """The rules that are broken, and what could not be compared. change: a field's value, as JSON; None hides it."""
    check = ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        if stored.tag not in about:
            continue
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        shown = disclosures_of(stored, bench.recorder.subject_keys.find) or ()
        check.take(
            stored.index,
            leaf_change(leaf),
            [one for one in map(_changed(stored.tag, change or {}), shown) if one],
        )
    return [fault.rule for _, fault in check.faults()], check.unread


def _changed(tag: Tag, change: dict[tuple[Tag, str], Any]) -> Any:
    def one(shown: Disclosure) -> Disclosure | None:
        if (tag, shown.name) not in change:
            return shown
        value = change[tag, shown.name]
        if value is None:
            return None
        raw = value.bytes if hasattr(value, "bytes") else encode(value)
        return msgspec.structs.replace(shown, value=msgspec.Raw(raw))

    return one


HOW = pytest.mark.parametrize("how", ["key", "passkey"])


@HOW
async def test_an_answer_that_is_what_it_seems_is_found_so(how):
    assert found(await ran(how)) == ([], 0)


@HOW
async def test_what_is_hidden_is_counted_and_not_taken_for_right(how):
    bench = await ran(how)
    assert found(bench, {(Tag.APPROVAL_ASKED, "card"): None}) == ([], 2), "the answer and the intent"
    assert found(bench, {(Tag.INTENT, "request"): None}) == ([], 1)
    assert found(bench, {(Tag.APPROVAL_ANSWER, "token"): None}) == ([], 0), "then there is nothing to compare"


def other_object() -> Any:
    return approval("a-1", amount=1)


CHANGES: dict[str, Any] = {
    "another card": lambda _: {(Tag.APPROVAL_ASKED, "card"): other_object().card},
    "another object": lambda _: {(Tag.APPROVAL_ASKED, "object"): other_object().shown},
    "another action that ran": lambda _: {
        (Tag.INTENT, "request"): {"arguments": {"amount": 7}, "method": "m", "server": "s", "target": "t"}
    },
    "no answer at all": lambda _: {(Tag.APPROVAL_ANSWER, "token"): "{nothing"},
    "an object with a word changed": lambda bench: {
        (Tag.APPROVAL_ASKED, "object"): _with_purpose(bench, "something else")
    },
}


def _with_purpose(bench: Bench, purpose: str) -> Any:
    stored = next(one for one in bench.recorder.ledger.replay() if one.tag == Tag.APPROVAL_ASKED)
    shown = disclosures_of(stored, bench.recorder.subject_keys.find) or ()
    envelope: Any = parse(next(bytes(one.value) for one in shown if one.name == "object"))
    envelope["value"]["purpose"] = purpose
    return freeze(envelope)


@HOW
@pytest.mark.parametrize("what", CHANGES)
async def test_after_a_change_it_is_found(how, what):
    bench = await ran(how)
    rules, _ = found(bench, CHANGES[what](bench))
    assert rules


async def test_a_signature_by_another_key_is_found():
    bench = await ran("key")
    rules, _ = found(bench, {(Tag.APPROVAL_ANSWER, "signer"): signing_key("carol").public.jwk})
    assert rules == ["approval.signed"]


@pytest.mark.parametrize("verdict", ["approve", "deny"])
@HOW
async def test_an_answer_that_its_entry_says_somebody_else_gave_is_found(how, verdict):
    bench = await passkey_bench()
    await bench.issue()
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    if how == "passkey":
        await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
        await answered(bench, asked, device, verdict=verdict)
    else:
        await bench.answer(asked, verdict=verdict)
    assert found(bench) == ([], 0)
    assert found(bench, {(Tag.APPROVAL_ANSWER, "person_name"): "carol"}) == (["approval.person"], 0)
    assert found(bench, {(Tag.APPROVAL_ANSWER, "person_name"): None}) == ([], 0), (
        "what is hidden is not compared"
    )


async def test_an_answer_by_the_passkey_of_somebody_else_is_found():
    """What a forger writes who has carol's answer and wants it to be bob's: the person is not under the signature."""
    bench = await passkey_bench()
    await bench.issue()
    await enrolled(bench, "bob", SoftPasskey(seed="bob"))
    asked = (await bench.refund(6000)).approval
    assert asked is not None
    await enrolled(bench, "carol", device := SoftPasskey(seed="carol"))
    after = await answered(bench, asked, device, person="carol")
    token = json.dumps({**json.loads(after.answers[0].token), "iss": "bob"})
    changed = {(Tag.APPROVAL_ANSWER, "token"): token, (Tag.APPROVAL_ANSWER, "person_name"): "bob"}
    bob = pseudonym_of(bench.recorder, "bob")

    def forged(leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, person=bob) if isinstance(leaf, AnswerLeaf) else leaf

    assert found(bench) == ([], 0)
    assert found(bench, changed, forged) == (["approval.passkey"], 0)


async def test_whose_passkey_signed_is_counted_as_not_compared_where_no_entry_says():
    bench = await ran("passkey")
    assert found(bench, about=(*ABOUT[:3],)) == ([], 1)


async def test_a_bundle_about_what_a_passkey_answered_says_whose_passkey_it_was(tmp_path: Path):
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        bench = await passkey_bench(ledger=ledger)
        await bench.issue()
        await enrolled(bench, "carol", SoftPasskey(seed="carol"))
        await enrolled(bench, "bob", device := SoftPasskey(seed="bob"))
        asked = (await bench.refund(6000)).approval
        assert asked is not None
        await answered(bench, asked, device)
        ledger.seal()
        entries = list(ledger.replay())
        bundle = assemble_evidence(
            selected(entries, mandate="m-1"),
            replay=False,
            reveal=("object", "card", "token"),
            entry=entries.__getitem__,
            published=PublishedFiles(tmp_path),
            find=bench.recorder.subject_keys.find,
            policy="",
        )
    added = [entries[index] for index in bundle.entries if entries[index].tag == Tag.PASSKEY]
    assert [leaf_of(one)["person"] for one in added] == [pseudonym_of(bench.recorder, "bob")]
    answers = ShownAnswers()
    report = verify_evidence(bundle.bundle, key=key, answers=answers)
    assert {one.rule for one in report.findings if one.severity == "error"} == set()
    assert answers.unread == 0


def _without_webauthn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "webauthn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "webauthn", None)


def _answer_with(bench: Bench, **members: Any) -> dict[tuple[Tag, str], Any]:
    (stored,) = (one for one in bench.recorder.ledger.replay() if one.tag == Tag.APPROVAL_ANSWER)
    shown = disclosures_of(stored, bench.recorder.subject_keys.find) or ()
    token = next(msgspec.json.decode(one.value, type=str) for one in shown if one.name == "token")
    return {(Tag.APPROVAL_ANSWER, "token"): encode({**json.loads(token), **members}).decode()}


@pytest.mark.requirement("LIGHT-05")
async def test_without_the_extra_a_signature_by_passkey_is_counted_and_nothing_of_it_is_called_wrong(
    monkeypatch,
):
    bench = await ran("passkey")
    _without_webauthn(monkeypatch)
    check = ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        check.take(stored.index, leaf, disclosures_of(stored, bench.recorder.subject_keys.find) or ())
    assert [*check.faults()] == []
    assert (check.unchecked, check.signed) == (1, 0)


@pytest.mark.requirement("LIGHT-05")
@pytest.mark.parametrize(
    "members",
    [
        {"verdict": "deny", "reason": "other"},
        {"comment": "never said"},
        {"nonce": "A" * 43},
        {"rp_id": "elsewhere"},
    ],
)
async def test_without_the_extra_what_is_not_what_was_signed_is_found_all_the_same(monkeypatch, members):
    bench = await ran("passkey")
    changed = _answer_with(bench, **members)
    assert found(bench, changed)[0] == ["approval.signed"]
    _without_webauthn(monkeypatch)
    assert found(bench, changed)[0] == ["approval.signed"]
    assert found(bench) == ([], 0)
