"""Whose key file it was that signed, where not all is shown that says so; and what a bundle shows of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.apps.cli.incident_pack import wanted_entries, wanted_fields
from answerable.core.canonical import encode
from answerable.core.evidence.bundle import Bundle
from answerable.core.ledger.disclosure import Disclosure
from answerable.core.ledger.opened import disclosures_of
from answerable.core.ledger.records_keys import PEOPLE_IN_CHANGE_MAX, SIGNS
from answerable.core.ledger.tags import Tag
from answerable.flows.recording.record_entry import pseudonym_of
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import Bench
from answerable.testing.clock import ManualClock
from answerable.testing.contracts.ledger import log_key
from answerable.testing.samples import AUDIENCE, signing_key
from answerable.verify.answer_shapes import AnswerLeaf
from answerable.verify.check_answers import ShownAnswers
from answerable.verify.evidence_bundle import verify_evidence
from answerable.verify.evidence_report import EvidenceReport
from answerable.verify.leaf_rules import Fault, read_leaf
from answerable.verify.policy_shapes import ChangeLeaf
from tests.worlds.incident_statements import incident_of, noted, opened
from tests.worlds.keys import (
    ABOUT,
    answered,
    answered_and_ran,
    bundle_of,
    found,
    index_of,
    many_people,
    person,
    reference,
    registered,
    signed_by,
)
from tests.worlds.ledger_files import SMALL
from tests.worlds.parts import to_apply

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("KEYS-04")
async def test_what_is_not_shown_is_counted_and_never_taken_for_right():
    bench = await answered_and_ran()
    assert found(bench, about=(Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER)) == ([], 0, 1)

    def hidden(_index: int, name: str, value: Any) -> Any:
        return None if name.startswith(SIGNS) else value

    assert found(bench, field_change=hidden) == ([], 0, 1)


@pytest.mark.requirement("KEYS-04")
async def test_a_change_between_that_hides_what_it_says_leaves_it_open():
    bench = await registered()
    await apply_registry(*to_apply(bench.walk), [person("bob", "bob", "bob-2")], by="operator")
    await answered(bench)
    between = index_of(bench, Tag.REGISTRY_CHANGE)
    first = reference(bench, index_of(bench, Tag.REGISTRY_CHANGE, 0))

    def refers(_index: int, leaf: Any) -> Any:
        return msgspec.structs.replace(leaf, keys_ref=first) if isinstance(leaf, AnswerLeaf) else leaf

    def hidden(index: int, name: str, value: Any) -> Any:
        return None if index == between and name.startswith(SIGNS) else value

    assert found(bench, leaf_change=refers) == ([], 1, 0)
    assert found(bench, leaf_change=refers, field_change=hidden) == ([], 0, 1)


@pytest.mark.requirement("KEYS-04")
async def test_an_answer_that_was_on_its_way_while_its_key_was_taken_is_left_open():
    """It was checked by the documents of before, and stands right after what takes the key away."""
    bench = await registered()
    await answered(bench)
    late = index_of(bench, Tag.APPROVAL_ANSWER)
    check = ShownAnswers()
    bob = pseudonym_of(bench.recorder, "bob")
    for stored in bench.recorder.ledger.replay():
        leaf = read_leaf(stored.leaf)
        assert not isinstance(leaf, Fault)
        if stored.index == late:
            gone = ChangeLeaf(
                v=2, tag=Tag.REGISTRY_CHANGE, at=leaf.at - 1, before="0" * 64, after="1" * 64, people=[bob]
            )
            field = msgspec.Raw(encode({"keys": [], "name": "bob", "person": bob}))
            check.take(late, gone, [Disclosure(name="signs_aa", value=field, array=b"")])
        if stored.tag in ABOUT:
            at = stored.index + (stored.index >= late)
            check.take(at, leaf, disclosures_of(stored, bench.recorder.subject_keys.find) or ())
    assert [*check.faults()] == []
    assert (check.keys_shown, check.keys_unread) == (0, 1)


@pytest.mark.requirement("KEYS-04")
async def test_what_is_said_again_is_no_change_of_whose_key_it_is():
    """An insider lets the log say again, right before the answer, that a key is bob's which no change gave him."""
    bench = await registered()
    bench.recorder.keys_named.clear()
    await answered(bench)
    again = index_of(bench, Tag.PEOPLES_KEYS)
    assert found(bench) == ([], 1, 0)
    strange = signing_key("stranger").public.thumbprint

    def said(index: int, name: str, value: Any) -> Any:
        if index == again and name.startswith(SIGNS):
            return {**value, "keys": [strange]}
        return signed_by(bench, "stranger")(index, name, value)

    assert found(bench, field_change=said) == ([], 0, 1)


@pytest.mark.requirement("KEYS-01")
async def test_more_people_than_one_entry_names_are_named_right_after_it():
    bench = await many_people(80)
    (_, change) = bench.entries(Tag.REGISTRY_CHANGE)
    after = bench.entries(Tag.PEOPLES_KEYS)
    named: list[Any] = [one for entry in (change, *after) for one in list(entry["people"])]
    assert (len(named), len(set(named)), change["people_more"]) == (80, 80, 80 - PEOPLE_IN_CHANGE_MAX)
    assert {one["registry"] for one in after} == {change["after"]}
    assert found(bench) == ([], 1, 0)


@pytest.mark.requirement("KEYS-05")
async def test_a_bundle_shows_whose_key_signed_without_showing_anybody_elses(tmp_path: Path):
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        bench = await Bench(ledger=ledger).registered()
        await bench.issue()
        await answered(bench)
        ledger.seal()
        bundle = bundle_of(bench, tmp_path, ("object", "card", "token", "signer"))
        unshown = bundle_of(bench, tmp_path, ("object", "card", "signer"))
    answers = ShownAnswers()
    report = verify_evidence(bundle, key=key, answers=answers)
    assert [one.message for one in report.findings if one.severity == "error"] == []
    assert (answers.keys_shown, answers.keys_unread) == (2, 0), "the answer and the mandate"
    assert names_shown(report) == ["alice", "bob"]
    report = verify_evidence(unshown, key=key, answers=ShownAnswers())
    assert not names_shown(report), "nothing is shown in whose name it was signed"


@pytest.mark.requirement("KEYS-04")
async def test_a_bundle_without_the_entry_says_that_nobody_can_tell_whose_key_it_was(tmp_path: Path):
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        bench = await Bench(ledger=ledger).registered()
        await bench.issue()
        await answered(bench)
        ledger.seal()
        whole = Bundle.parse(bundle_of(bench, tmp_path, ("object", "card", "token", "signer")))
    named = index_of(bench, Tag.REGISTRY_CHANGE)
    kept = tuple(one for one in whole.entries if one.index != named)
    less = Bundle(checkpoint=whole.checkpoint, keys=whole.keys, policy=whole.policy, entries=kept)
    report = verify_evidence(less.encoded(), key=key, answers=ShownAnswers())
    assert [one.message for one in report.findings if one.severity == "error"] == []
    assert unknown(2) in [one.message for one in report.findings]


@pytest.mark.requirement("INCIDENT-03", "KEYS-05")
async def test_the_folder_of_an_incident_shows_who_signed_what_was_said_of_it_and_nobody_elses_key(
    tmp_path: Path,
):
    key, sign = log_key(AUDIENCE)
    async with TlogFilesLedger.open(
        tmp_path, key=key, sign=sign, clock=ManualClock(), settings=SMALL
    ) as ledger:
        bench = await Bench(ledger=ledger).registered()
        await bench.issue()
        await answered(bench, by="bob")
        incident = await opened(bench, "agent", "scout", by="alice", since_ms=1)
        await noted(bench, incident, "it is", by="alice")
        ledger.seal()
        answer = incident_of(bench, incident)
        entries, fields = wanted_entries(answer), wanted_fields(answer, ())
        bundle = bundle_of(bench, tmp_path, fields, entries)
        hidden = bundle_of(bench, tmp_path, tuple(one for one in fields if "token" not in one), entries)
        other = bundle_of(bench, tmp_path, (f"{incident.entry}:token", "signer"), entries)
    answers = ShownAnswers()
    report = verify_evidence(bundle, key=key, answers=answers)
    assert not [one.message for one in report.findings if "whose key" in one.message]
    assert (answers.keys_shown, answers.keys_unread) == (2, 0)
    assert names_shown(report) == ["alice"]
    assert not names_shown(verify_evidence(hidden, key=key, answers=ShownAnswers()))
    assert names_shown(verify_evidence(other, key=key, answers=ShownAnswers())) == ["alice"]
    # The entry is in the bundle, and hides whose key it was.
    whole = Bundle.parse(bundle)
    kept = tuple(
        replace(
            one, disclosures=tuple(field for field in one.disclosures if not field.name.startswith(SIGNS))
        )
        for one in whole.entries
    )
    report = verify_evidence(replace(whole, entries=kept).encoded(), key=key, answers=ShownAnswers())
    assert unknown(2) in [one.message for one in report.findings]


def names_shown(report: EvidenceReport) -> list[str]:
    shown = [value for entry in report.entries for name, value in entry.shown if name.startswith(SIGNS)]
    return sorted(json.loads(one)["name"] for one in shown)


def unknown(count: int) -> str:
    return f"whose key made {count} of the signatures cannot be said: what names it is not in this bundle, or hidden"
