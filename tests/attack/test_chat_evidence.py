"""What a stranger finds in answers by click: whose word they are, and that they are nothing more."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.core.approval.card import card_of
from answerable.core.approval.chat_click import CLICK_TYP
from answerable.core.canonical import encode, freeze, parse
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.tags import Tag
from answerable.flows.ledger.assemble_evidence import assemble_evidence
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.leaf_rules import Fault, read_leaf
from tests.worlds.click import clicking, user_of
from tests.worlds.ledger_files import SMALL
from tests.worlds.selected import selected

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BUTTON-07")]
ABOUT = (Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.INTENT)


async def clicked(verdict: str = "approve", because: str = "") -> Bench:
    """A refund that somebody answered by a click; after a yes it ran."""
    async with clicking() as world:
        await world.asked()
        await world.press(verdict=verdict, because=because)
        if verdict == "approve":
            assert (await world.bench.refund(6_000)).outcome is not None
        return world.bench


async def signed() -> Bench:
    """The same, answered with a key file."""
    async with clicking() as world:
        await world.bench.answer(await world.asked())
        assert (await world.bench.refund(6_000)).outcome is not None
        return world.bench


def found(
    bench: Bench,
    fields: dict[tuple[Tag, str], Any] | None = None,
    leaf: dict[str, Any] | None = None,
) -> tuple[list[str], ShownAnswers]:
    """The rules that are broken. fields: values of them as JSON, None hides one. leaf: members of the answer's."""
    check = ShownAnswers()
    for stored in bench.recorder.ledger.replay():
        if stored.tag not in ABOUT:
            continue
        read = read_leaf(stored.leaf)
        assert not isinstance(read, Fault)
        if leaf and isinstance(read, AnswerLeaf):
            read = msgspec.structs.replace(read, **leaf)
        shown = []
        for one in disclosures_of(stored, bench.recorder.subject_keys.find) or ():
            if (stored.tag, one.name) in (fields or {}):
                value = fields[stored.tag, one.name]
                if value is None:
                    continue
                raw = value.bytes if hasattr(value, "bytes") else encode(value)
                one = msgspec.structs.replace(one, value=msgspec.Raw(raw))
            shown.append(one)
        check.take(stored.index, read, shown)
    return [fault.rule for _, fault in check.faults()], check


def field_of(bench: Bench, tag: Tag, name: str) -> Any:
    stored = next(one for one in bench.recorder.ledger.replay() if one.tag == tag)
    shown = disclosures_of(stored, bench.recorder.subject_keys.find) or ()
    return parse(next(bytes(one.value) for one in shown if one.name == name))


@pytest.mark.parametrize(("verdict", "because"), [("approve", ""), ("deny", ""), ("deny", "suspicious")])
async def test_a_click_is_found_to_be_attributed_and_never_signed(verdict, because):
    rules, check = found(await clicked(verdict, because))
    assert (rules, check.unread, check.signed) == ([], 0, 0)
    ((_, text),) = check.attributed
    assert text.startswith("attributed, not signed")
    assert f"Slack said that user {user_of('bob')} of team" in text


async def test_a_signed_answer_beside_it_is_counted_as_signed():
    rules, check = found(await signed())
    assert (rules, check.signed, check.attributed) == ([], 1, [])


def _token(bench: Bench, **members: Any) -> str:
    return encode({**json.loads(field_of(bench, Tag.APPROVAL_ANSWER, "token")), **members}).decode()


def _asked(bench: Bench, **members: Any) -> dict[tuple[Tag, str], Any]:
    """The question as somebody would forge it, object and card. None takes a member away."""
    envelope = field_of(bench, Tag.APPROVAL_ASKED, "object")
    value = {**envelope["value"], **members}
    gone = {name for name, one in members.items() if one is None}
    shown = freeze({**envelope, "value": {name: one for name, one in value.items() if name not in gone}})
    token = _token(bench, action=shown.hex, rendering=card_of(shown).hex)
    return {
        (Tag.APPROVAL_ASKED, "object"): shown,
        (Tag.APPROVAL_ASKED, "card"): card_of(shown),
        (Tag.APPROVAL_ANSWER, "token"): token,
    }


FORGED: dict[str, Any] = {
    "of another person": lambda bench: ({(Tag.APPROVAL_ANSWER, "person_name"): "carol"}, None),
    "of another verdict": lambda bench: ({}, {"verdict": "deny"}),
    "for another approval": lambda bench: (
        {(Tag.APPROVAL_ANSWER, "token"): _token(bench, approval="a-9")},
        None,
    ),
    "over another object": lambda bench: (
        {(Tag.APPROVAL_ANSWER, "token"): _token(bench, action="0" * 64)},
        None,
    ),
    "over another card": lambda bench: (
        {(Tag.APPROVAL_ANSWER, "token"): _token(bench, rendering="0" * 64)},
        None,
    ),
    "for another deployment": lambda bench: (
        {(Tag.APPROVAL_ANSWER, "token"): _token(bench, aud="x")},
        None,
    ),
    "with a comment": lambda bench: ({(Tag.APPROVAL_ANSWER, "comment"): "I read it"}, None),
    "with a member more": lambda bench: (
        {(Tag.APPROVAL_ANSWER, "token"): _token(bench, signature="x")},
        None,
    ),
    "called signed": lambda bench: ({}, {"strength": msgspec.UNSET}),
    "of a workflow": lambda bench: ({}, {"workflow": "checker"}),
    "of a broken glass": lambda bench: ({}, {"verdict": "break_glass"}),
    "where a signature was asked for": lambda bench: (_asked(bench, by_click=None), None),
    "where it says so otherwise": lambda bench: (_asked(bench, by_click="yes"), None),
    "of a critical action": lambda bench: (
        _asked(bench, effects={**field_of(bench, Tag.APPROVAL_ASKED, "object")["value"]["effects"], "tier": 3}),
        None,
    ),
    "where two were asked": lambda bench: (_asked(bench, requirements=[["approvers", 2]]), None),
    "where two groups were asked": lambda bench: (
        _asked(bench, requirements=[["approvers", 1], ["sales", 1]]),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_click_is_found(what):
    bench = await clicked()
    fields, leaf = FORGED[what](bench)
    rules, _ = found(bench, fields, leaf)
    assert rules, what


async def test_a_signed_answer_that_is_called_a_click_is_found():
    rules, _ = found(await signed(), {}, {"strength": "chat"})
    assert "approval.strength" in rules


async def test_a_click_in_place_of_a_signature_is_found():
    bench = await signed()
    envelope = field_of(bench, Tag.APPROVAL_ASKED, "object")
    kept = {
        "typ": CLICK_TYP, "v": 1, "iss": "bob", "aud": AUDIENCE, "approval": envelope["value"]["txn"],
        "action": freeze(envelope).hex, "rendering": freeze(field_of(bench, Tag.APPROVAL_ASKED, "card")).hex,
        "verdict": "approve", "reason": "", "channel": "slack", "team": "T0", "user": "U0",
        "nonce": "0" * 64, "request": "0" * 64, "sent_s": 1, "iat_ms": 1,
    }  # fmt: skip
    text = encode(kept).decode()
    rules, _ = found(bench, {(Tag.APPROVAL_ANSWER, "token"): text})
    assert rules == ["approval.strength"], "its entry does not call it one"
    # Of what may be clicked, a whole forgery by whoever runs the log is one that nobody can find: it is not a proof.
    rules, check = found(bench, {(Tag.APPROVAL_ANSWER, "token"): text}, {"strength": "chat"})
    assert (rules, check.signed, len(check.attributed)) == ([], 0, 1)


@pytest.mark.parametrize("name", ["object", "card"])
async def test_what_is_hidden_is_counted_and_stays_attributed(name):
    rules, check = found(await clicked(), {(Tag.APPROVAL_ASKED, name): None})
    assert rules == []
    assert check.unread
    assert len(check.attributed) == 1
    rules, check = found(await clicked(), {(Tag.APPROVAL_ANSWER, "token"): None})
    assert rules == []
    assert "that somebody clicked" in check.attributed[0][1]


async def test_a_bundle_says_how_many_answers_are_signed_and_how_many_are_not(tmp_path):
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        async with clicking(ledger=ledger) as world:
            await world.asked()
            await world.press()
            assert (await world.bench.refund(6_000)).outcome is not None
            await world.bench.answer(await world.asked(7_000), by="carol", verdict="deny")
        ledger.seal()
        entries = list(ledger.replay())
        bundle = assemble_evidence(
            selected(entries, mandate="m-1"),
            replay=False,
            reveal=("object", "card", "token", "signer", "person_name"),
            entry=entries.__getitem__,
            published=PublishedFiles(tmp_path),
            find=world.bench.recorder.subject_keys.find,
            policy="",
        )
    report = verify_evidence(bundle.bundle, key=key, answers=ShownAnswers())
    assert not [one for one in report.findings if one.severity == "error"]
    assert (report.signed, report.attributed) == (1, 1)
    assert report.as_value()["answers"] == {"attributed": 1, "signed": 1}
    lines = "\n".join(report.as_lines())
    assert "answers of people: 1 signed, 1 attributed and not signed" in lines
    assert "attributed, not signed: this log's server says that Slack said" in lines
