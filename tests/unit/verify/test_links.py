"""Runs, references and fields: how entries of version 2 hang together, read at once or in stretches."""

from __future__ import annotations

from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue, encode, parse
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.runs import Run
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.testing.clock import START
from answerable.verify.leaf_rules import Fault, payload_fault, read_leaf
from answerable.verify.leaf_shapes import CitedLeaf, IntentLeaf
from tests.worlds.ledger import (
    BEGIN,
    CITED,
    DIGEST,
    ForgedLog,
    checked,
    cited,
    end,
    entry,
    intent,
    prelude,
    references,
    rules,
    run_after,
)

RUN = "ab" * 8


def in_run(before: Entry | None = None, **changed: JSONValue) -> Entry:
    """The next refusal of a run."""
    members: dict[str, JSONValue] = {"action": "a", "agent": "scout", "mandate": "m-1", **changed}
    return entry(Tag.REFUSAL, members, run=run_after(before, run_id=RUN))


def placed(seq: int, prev: str) -> Entry:
    return entry(Tag.REFUSAL, {"action": "a", "agent": "scout"}, run=Run(id=RUN, prev=prev, seq=seq))


ZERO = in_run()
ONE = in_run(ZERO)
TWO = in_run(ONE)


@pytest.mark.requirement("LEDGER-34")
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("rule", "entries"),
    [
        ("", [ZERO, ONE, TWO]),
        ("run.gap", [ZERO, TWO]),
        ("run.gap", [ZERO, ONE, ONE]),
        ("run.gap", [ZERO, ZERO]),
        ("run.gap", [placed(1, "")]),
        ("run.previous", [placed(0, leaf_hash(ZERO.leaf).hex())]),
        ("run.previous", [ZERO, placed(1, "")]),
        ("run.previous", [ZERO, placed(1, "AB" * 32)]),
        ("run.mandate", [ZERO, in_run(ZERO, mandate="m-2")]),
        ("run.mandate", [ZERO, placed(1, leaf_hash(ZERO.leaf).hex()), in_run(ONE, mandate="m-2")]),
    ],
)
def test_a_hole_in_a_run_is_found(tmp_path: Path, rule: str, entries: list[Entry], cut: bool) -> None:
    if rule == "run.mandate" and len(entries) == 3:
        entries = [*entries[:2], in_run(entries[1], mandate="m-2")]
    log = ForgedLog(
        directory=tmp_path,
        entries=[*prelude(), *entries],
        seals=(BEGIN + len(entries),),
        cuts=tuple(range(1, BEGIN + len(entries))) if cut else (),
    )
    report = checked(log.written())
    assert rules(report) == ({rule} if rule else set())
    if rule:
        assert report.findings[0].index == BEGIN + len(entries) - 1
        assert report.findings[0].start is not None


def refers(**changed: JSONValue) -> Entry:
    """An intent whose references are changed."""
    return intent("a-1", **{**references(), **changed})


HASHES = [leaf_hash(one.leaf).hex() for one in CITED]
OTHER_POLICY: JSONValue = {"by": [], "effect": "allow", "lifted": [], "policy_set": "00" * 32}


@pytest.mark.requirement("LEDGER-35", "HOUSE-43")
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("rule", "begun"),
    [
        ("", refers()),
        ("reference.missing", refers(mandate_ref={"entry": 0, "leaf": HASHES[0]})),
        ("reference.order", refers(tool_ref={"entry": BEGIN, "leaf": HASHES[2]})),
        ("reference.order", refers(tool_ref={"entry": BEGIN + 9, "leaf": HASHES[2]})),
        ("reference.leaf_hash", refers(policy_ref={"entry": 2, "leaf": HASHES[0]})),
        ("", refers(mandate_ref=1, policy_ref=2, tool_ref=3)),
        ("reference.missing", refers(mandate_ref=0)),
        ("reference.order", refers(tool_ref=BEGIN)),
        ("reference.order", refers(tool_ref=BEGIN + 9)),
        ("reference.kind", refers(tool_ref=2)),
        ("reference.kind", refers(mandate_ref=1, mandate="m-2")),
        ("leaf.member", refers(policy_ref=-1)),
        ("leaf.member", refers(policy_ref="2")),
        ("reference.kind", refers(tool_ref={"entry": 2, "leaf": HASHES[1]})),
        ("reference.kind", refers(mandate="m-2")),
        ("reference.kind", refers(decision=OTHER_POLICY)),
        ("leaf.member", refers(mandate_ref={"entry": 1, "leaf": "ab"})),
    ],
)
def test_what_an_intent_refers_to_must_be_there(tmp_path: Path, rule: str, begun: Entry, cut: bool) -> None:
    log = ForgedLog(
        directory=tmp_path,
        entries=[*prelude(), begun, end(begun, BEGIN, "a-1")],
        seals=(BEGIN + 2,),
        cuts=(BEGIN,) if cut else (),
    )
    report = checked(log.written())
    expected = {rule} if rule else set()
    if rule == "leaf.member":
        expected |= {"pair.no_intent"}
    assert rules(report) == expected
    if rule:
        assert report.findings[0].index == BEGIN


@pytest.mark.requirement("LEDGER-35")
def test_references_to_other_logs_are_said_to_be_unchecked(tmp_path: Path) -> None:
    begun = refers(tool_ref={"entry": 7, "leaf": HASHES[2], "log": "ledger.example/other"})
    entries = [*prelude(), begun, end(begun, BEGIN, "a-1")]
    report = checked(ForgedLog(directory=tmp_path, entries=entries, seals=(6,)).written())
    assert report.errors == 0
    assert "references_elsewhere" in [one.code for one in report.caveats]


@pytest.mark.requirement("LEDGER-36")
@pytest.mark.parametrize("cut", [False, True])
def test_an_end_is_held_against_an_intent_of_an_earlier_segment(tmp_path: Path, cut: bool) -> None:
    begun = intent("a-1")
    entries = [*prelude(), begun, end(begun, BEGIN, "a-1"), end(begun, BEGIN, "a-1")]
    cuts = (BEGIN, BEGIN + 1, BEGIN + 2) if cut else ()
    report = checked(ForgedLog(directory=tmp_path, entries=entries, seals=(7,), cuts=cuts).written())
    assert [(one.rule, one.index) for one in report.findings] == [("pair.second_end", BEGIN + 2)]


def changed_leaf(one: Entry, **changed: JSONValue) -> Entry:
    """The same entry with other members; None takes one out."""
    leaf = parse(one.leaf)
    assert isinstance(leaf, dict)
    kept: dict[str, JSONValue] = {
        name: value for name, value in {**leaf, **changed}.items() if value is not None
    }
    return Entry(tag=one.tag, leaf=encode(kept), attachment=one.attachment)


SEALED = cited("tool", DIGEST)
D1, D2 = "A" * 43, "B" * 43


@pytest.mark.requirement("LEDGER-37")
@pytest.mark.parametrize(
    ("rule", "one"),
    [
        ("leaf.disclosures", changed_leaf(SEALED, _sd=[D2, D1])),
        ("leaf.disclosures", changed_leaf(SEALED, _sd=[D1, D1])),
        ("leaf.disclosures", changed_leaf(SEALED, _sd=[])),
        ("leaf.disclosures", changed_leaf(SEALED, _sd=None)),
        ("leaf.disclosures", changed_leaf(SEALED, payload=None)),
        ("leaf.member", changed_leaf(SEALED, _sd=["A" * 42])),
        ("leaf.member", changed_leaf(SEALED, _sd=[f"{number:043}" for number in range(65)])),
        ("leaf.member", changed_leaf(intent("a-1"), run=None)),
        ("leaf.member", changed_leaf(intent("a-1"), tool_ref=None)),
    ],
)
def test_fields_are_committed_to_in_order_and_kept(rule: str, one: Entry) -> None:
    fault = read_leaf(one.leaf)
    assert isinstance(fault, Fault)
    assert fault.rule == rule


@pytest.mark.requirement("LEDGER-37")
def test_an_attachment_has_the_form_of_its_version() -> None:
    def fault_of(attachment: bytes, **changed: JSONValue) -> str:
        import hashlib

        digest = hashlib.sha256(attachment).hexdigest()
        leaf = read_leaf(changed_leaf(SEALED, payload=digest, **changed).leaf)
        assert isinstance(leaf, CitedLeaf), leaf
        fault = payload_fault(leaf, attachment)
        return "" if fault is None else fault.rule

    assert fault_of(SEALED.attachment) == ""
    assert fault_of(SEALED.attachment[:92]) == "payload.form"
    assert fault_of(b"\x01" + SEALED.attachment[1:]) == "payload.form"
    assert fault_of(bytes(16), v=1, _sd=None) == "payload.form"
    assert fault_of(bytes(17), v=1, _sd=None) == ""


def test_the_first_version_may_be_without_runs_and_references() -> None:
    first = changed_leaf(
        intent("a-1"), v=1, _sd=None, run=None, mandate_ref=None, policy_ref=None, tool_ref=None
    )
    assert isinstance(read_leaf(first.leaf), IntentLeaf)


def test_a_tag_inside_another_member_is_not_taken_for_that_of_the_leaf() -> None:
    unknown: dict[str, JSONValue] = {"at": START, "tag": 99, "v": 2, "z": {"a": 1, "tag": 2, "y": 0}}
    leaf = read_leaf(encode(unknown))
    assert not isinstance(leaf, Fault | IntentLeaf)
    assert leaf.tag == 99
    before: dict[str, JSONValue] = {"at": START, "key": "a", "origin": '"tag":2,', "tag": 1, "v": 2}
    assert read_leaf(encode(before)).__class__.__name__ == "GenesisLeaf"
