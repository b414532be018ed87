"""How entries must fit together, and how a report reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.core.canonical import JSONValue
from answerable.core.ledger.codec import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    chain_start,
    chained,
)
from answerable.core.ledger.entry import Entry, sealed_entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.merkle import leaf_hash
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN
from answerable.verify.report import FINDINGS_MAX
from tests.worlds.ledger import (
    BEGIN,
    DIGEST,
    FIRST,
    KEY,
    STORY,
    ForgedLog,
    checked,
    end,
    entry,
    flipped,
    genesis,
    intent,
    prelude,
    rules,
    sealed_story,
)

# --- entries ----------------------------------------------------------------------------------------

BEGUN = intent("a-1")
SUCCEEDED_AND_NOT_KNOWN = entry(
    Tag.INDETERMINATE,
    {"action": "a-1", "intent": BEGIN, "intent_leaf": leaf_hash(BEGUN.leaf).hex(), "status": "succeeded"},
)


def by_index(action: str, index: int) -> Entry:
    """An end that names its intent by index alone."""
    return entry(Tag.OUTCOME, {"action": action, "intent": index, "status": "succeeded"})


DENIED: JSONValue = {"by": [], "effect": "deny", "lifted": [], "policy_set": DIGEST}


@pytest.mark.parametrize(
    ("rule", "entries"),
    [
        ("pair.no_intent", [end(BEGUN, BEGIN, "a-1")]),
        ("pair.no_intent", [BEGUN, end(BEGUN, BEGIN + 1, "a-1")]),
        ("pair.no_intent", [BEGUN, end(BEGUN, 2**53 - 1, "a-1")]),
        ("pair.no_intent", [BEGUN, end(BEGUN, 0, "a-1")]),
        ("pair.second_end", [BEGUN, end(BEGUN, BEGIN, "a-1"), end(BEGUN, BEGIN, "a-1")]),
        ("pair.second_end", [BEGUN, end(BEGUN, BEGIN, "a-1"), end(BEGUN, BEGIN, "a-1", "indeterminate")]),
        ("pair.second_end", [BEGUN, *(end(BEGUN, BEGIN, "a-1", "indeterminate") for _ in "ab")]),
        (
            "pair.second_end",
            [BEGUN, end(BEGUN, BEGIN, "a-1", "indeterminate"), *(end(BEGUN, BEGIN, "a-1") for _ in "ab")],
        ),
        ("pair.leaf_hash", [BEGUN, end(BEGUN, BEGIN, "a-1", intent_leaf="ab" * 32)]),
        ("pair.action", [BEGUN, end(BEGUN, BEGIN, "a-2")]),
        ("pair.action", [BEGUN, by_index("a-2", BEGIN)]),
        ("pair.no_intent", [BEGUN, by_index("a-1", BEGIN - 1)]),
        ("pair.second_end", [BEGUN, by_index("a-1", BEGIN), by_index("a-1", BEGIN)]),
        ("pair.status", [BEGUN, end(BEGUN, BEGIN, "a-1", "pending")]),
        ("pair.status", [BEGUN, SUCCEEDED_AND_NOT_KNOWN]),
        ("pair.not_allowed", [intent("a-1", decision=DENIED)]),
        ("genesis.place", [genesis()]),
        ("recovery.size", [entry(Tag.RECOVERY, {"size": 5, "clean": True, "cut_bytes": 0})]),
        ("leaf.member", [intent("a-1", deadline="soon")]),
        ("leaf.member", [intent("a-1", digest="CD" * 32)]),
        ("leaf.member", [intent("a-1", call=-1)]),
        ("leaf.member", [intent("a-1", decision={"effect": "allow"})]),
        ("leaf.member", [entry(Tag.OUTCOME, {"action": "a-1"})]),
        ("leaf.member", [entry(Tag.REFUSALS_COUNTED, {"agents": {"a": -1}, "strangers": {}})]),
    ],
)
def test_entries_must_fit_together(tmp_path: Path, rule: str, entries: list[Entry]) -> None:
    log = ForgedLog(
        directory=tmp_path, entries=[*prelude(), *entries], seals=(BEGIN + len(entries),)
    ).written()
    report = checked(log)
    assert rules(report) == {rule}
    assert report.findings[0].index == BEGIN - 1 + len(entries)


@pytest.mark.parametrize(
    ("rule", "leaf"),
    [
        ("leaf.canonical", b'{"tag":99, "at":1,"v":1}'),
        ("leaf.canonical", b'{"at":1,"at":2,"tag":99,"v":1}'),
        ("leaf.canonical", b'{"at":1,"tag":99,"v":1,"x":1.5}'),
        ("leaf.canonical", b'{"at":1,"tag":99,"v":1,"x":9007199254740993}'),
        ("leaf.canonical", b'{"at":1,"tag":99,"v":1'),
        ("leaf.canonical", b"\xff\xfe"),
        ("leaf.canonical", b'{"tag":99,"at":1,"v":1}'),
        ("leaf.canonical", b"[]"),
        ("leaf.member", b'{"at":1,"tag":"2","v":1}'),
        ("leaf.version", b'{"at":1,"tag":99,"v":3}'),
        ("leaf.size", b'{"at":1,"tag":99,"v":1,"x":"' + b"x" * 11_000 + b'"}'),
    ],
)
def test_leaves_must_be_canonical_and_of_a_known_version(tmp_path: Path, rule: str, leaf: bytes) -> None:
    odd = Entry(tag=Tag.OUTCOME, leaf=leaf, attachment=b"")
    report = checked(ForgedLog(directory=tmp_path, entries=[genesis(), odd], seals=(2,)).written())
    assert rules(report) == {rule}


@pytest.mark.parametrize("fault", ["mismatch", "missing", "uncommitted"])
def test_payloads_must_be_those_committed_to(tmp_path: Path, fault: str) -> None:
    sound = entry(Tag.REFUSAL, {"action": "a", "agent": "b"}, b"{}")
    bare = entry(Tag.REFUSAL, {"action": "a", "agent": "b"})
    odd = {
        "mismatch": Entry(tag=sound.tag, leaf=sound.leaf, attachment=sound.attachment + b"x"),
        "missing": Entry(tag=sound.tag, leaf=sound.leaf, attachment=b""),
        "uncommitted": Entry(tag=bare.tag, leaf=bare.leaf, attachment=b"x"),
    }[fault]
    report = checked(ForgedLog(directory=tmp_path, entries=[genesis(), odd], seals=(2,)).written())
    assert rules(report) == {f"payload.{fault}"}


def test_a_log_without_its_first_entry_is_found(tmp_path: Path) -> None:
    closed = entry(Tag.MANDATE_CLOSED, {"mandate": "m-1"})
    assert rules(checked(ForgedLog(directory=tmp_path, entries=[closed], seals=(1,)).written())) == {
        "genesis.place"
    }


def test_a_clock_set_back_far_is_mentioned(tmp_path: Path) -> None:
    times = (START, START + 60_000, START + 56_000, START)
    entries = [genesis(), *(entry(Tag.MANDATE_CLOSED, {"mandate": "m"}, at=at) for at in times)]
    report = checked(ForgedLog(directory=tmp_path, entries=entries, seals=(5,)).written())
    assert (report.errors, report.warnings) == (0, 1)
    assert [(one.rule, one.index) for one in report.findings] == [("clock.back", 4)]


@pytest.mark.requirement("LEDGER-43")
def test_each_step_of_the_clock_is_mentioned_once_with_its_entries(tmp_path: Path) -> None:
    back = [START + 60_000 + more for more in range(600)]
    times = (START + 900_000, *back, START + 901_000, START + 902_000, START, START + 1_000)
    entries = [genesis(), *(entry(Tag.MANDATE_CLOSED, {"mandate": "m"}, at=at) for at in times)]
    report = checked(ForgedLog(directory=tmp_path, entries=entries, seals=(len(entries),)).written())
    assert [(one.rule, one.index, one.message) for one in report.findings] == [
        ("clock.back", 2, "the clock stepped back by 840000 ms, and 600 entries are dated so"),
        ("clock.back", 604, "the clock stepped back by 902000 ms, and 2 entries are dated so"),
    ]


def test_findings_are_cut_but_counted(tmp_path: Path) -> None:
    many = [end(BEGUN, BEGIN, "a-1") for _ in range(FINDINGS_MAX + 50)]
    report = checked(ForgedLog(directory=tmp_path, entries=[*prelude(), *many], seals=(BEGIN,)).written())
    assert report.errors == FINDINGS_MAX + 50
    assert len(report.findings) == FINDINGS_MAX
    assert "  and 50 findings more" in report.as_lines()


# --- the report -------------------------------------------------------------------------------------


def test_the_report_is_plain_json_and_plain_lines(tmp_path: Path) -> None:
    log = sealed_story(tmp_path)
    flipped(tmp_path / FIRST, SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + 3, 1)
    report = checked(log)
    value = json.loads(json.dumps(report.as_value()))
    assert (value["status"], value["entries"], value["errors"]) == ("invalid", STORY, report.errors)
    assert value["findings"][0]["entry"] == 0
    lines = report.as_lines()
    assert lines[0] == f"log {ORIGIN}"
    assert any(line.startswith("INVALID") for line in lines)
    assert any("entry 0" in line and FIRST in line and "[entry.damaged]" in line for line in lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_rubbish_in_any_file_stops_the_verification(tmp_path: Path, data: st.DataObject) -> None:
    log = sealed_story(tmp_path)
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        content = path.read_bytes()
        at, lost = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 80))
        path.write_bytes(content[:at] + data.draw(st.binary(max_size=80)) + content[at + lost :])
    report = checked(log)
    json.dumps(report.as_value())
    report.as_lines()


def test_a_forged_chain_alone_is_not_enough(tmp_path: Path) -> None:
    # The chain is no signature: whoever can write the files can redo it. This is what checkpoints are for.
    forged = sealed_entry(Tag.GENESIS, at=START, members={"origin": ORIGIN, "key": KEY.formatted(), "x": "y"})
    chain = chained(chain_start(ORIGIN), leaf_hash(forged.leaf))
    log = sealed_story(tmp_path)
    log.entries[0] = forged
    log.write_wal()
    assert chain in (tmp_path / FIRST).read_bytes()
    assert rules(checked(log)) == {"checkpoint.root", "tile.content"}


# --- budgets ----------------------------------------------------------------------------------------

TOOK = intent("a-1", reserved={"bytes": 9, "calls": 1, "rows": 5}, accounts=["hop-1"])


def ended(begun: Entry, status: str = "failed", **members: JSONValue) -> Entry:
    return end(begun, BEGIN, "a-1", status, **members)


@pytest.mark.requirement("BUDGET-08")
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(
    ("rule", "entries"),
    [
        ("", [TOOK, ended(TOOK, returned={"bytes": 9, "rows": 4}, overrun={"tokens": 3})]),
        ("", [TOOK, ended(TOOK, "not_started", returned={"bytes": 9, "calls": 1, "rows": 5})]),
        ("", [TOOK, ended(TOOK, "indeterminate"), ended(TOOK, returned={"rows": 5})]),
        ("", [BEGUN, ended(BEGUN, "not_started", returned={"calls": 1})]),
        ("pair.returned", [TOOK, ended(TOOK, returned={"rows": 6})]),
        ("pair.returned", [TOOK, ended(TOOK, returned={"tokens": 1})]),
        ("pair.returned", [TOOK, ended(TOOK, "indeterminate", returned={"rows": 1})]),
        ("pair.returned", [BEGUN, ended(BEGUN, returned={"calls": 2})]),
        ("leaf.member", [intent("a-1", reserved={"rows": -1})]),
        ("leaf.member", [intent("a-1", reserved={})]),
        ("leaf.member", [intent("a-1", reserved={"rows": True})]),
        ("leaf.member", [intent("a-1", accounts=[])]),
    ],
)
def test_no_end_gives_back_more_than_its_intent_reserved(
    tmp_path: Path, rule: str, entries: list[Entry], cut: bool
) -> None:
    log = ForgedLog(
        directory=tmp_path,
        entries=[*prelude(), *entries],
        seals=(BEGIN + len(entries),),
        cuts=tuple(range(1, BEGIN + len(entries))) if cut else (),
    )
    assert rules(checked(log.written())) == ({rule} if rule else set())
