"""Attacks on a copied ledger, and what its verification says about each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from answerable.core.canonical import JSONValue, encode
from answerable.core.ledger.codec import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    SegmentHeader,
    frame_header,
    origin_hash,
)
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.head import Head
from answerable.core.ledger.tags import Tag
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN, log_key
from answerable.verify.ledger_history import Progress, verify_ledger
from tests.worlds.ledger import (
    BEGIN,
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
    policy,
    prelude,
    rules,
    sealed_story,
    story,
)

# --- sound logs -------------------------------------------------------------------------------------


def test_a_sound_log_is_valid_but_for_what_a_copy_cannot_show(tmp_path: Path) -> None:
    report = checked(sealed_story(tmp_path, cuts=(5, 8), padding=700))
    assert (report.status, report.findings) == ("valid_but", ())
    assert [one.code for one in report.caveats] == ["newer_removed"]
    assert (report.size, report.signed, report.checkpoints, report.origin) == (STORY, STORY, 2, ORIGIN)
    assert report.entries_by_tag == {1: 1, 2: 2, 3: 2, 4: 1, 5: 1, 14: 3}


def test_with_a_checkpoint_kept_elsewhere_nothing_is_left_open(tmp_path: Path) -> None:
    log = sealed_story(tmp_path)
    assert verify_ledger(tmp_path, key=KEY, kept=log.note(STORY)).status == "valid"
    older = verify_ledger(tmp_path, key=KEY, kept=log.note(6))
    assert [one.code for one in older.caveats] == ["newer_removed"]


def test_a_key_that_came_with_the_log_is_not_taken_for_proof(tmp_path: Path) -> None:
    sealed_story(tmp_path)
    report = verify_ledger(tmp_path)
    assert report.status == "valid_but"
    assert "key_not_given" in [one.code for one in report.caveats]
    assert not report.key_given


def test_entries_after_the_last_checkpoint_are_said_to_be_unsigned(tmp_path: Path) -> None:
    report = checked(sealed_story(tmp_path, seals=(6,)))
    assert (report.errors, report.signed, report.size) == (0, 6, STORY)
    assert "the last 4 entries, from 6 on, are not yet signed over" in [one.message for one in report.caveats]


def test_open_intents_are_listed(tmp_path: Path) -> None:
    log = ForgedLog(directory=tmp_path, entries=story()[:7], seals=(7,)).written()
    report = checked(log)
    assert (report.open_intents_total, report.open_intents[0].index, report.open_intents[0].action) == (
        1,
        6,
        "a-2",
    )
    assert any("a-2" in line for line in report.as_lines())


def test_entries_of_later_versions_are_kept_and_mentioned(tmp_path: Path) -> None:
    members: dict[str, JSONValue] = {"v": 2, "tag": 99, "at": START, "news": ["é", {"a": True}]}
    unknown = Entry(tag=Tag.OUTCOME, leaf=encode(members), attachment=b"")
    report = checked(ForgedLog(directory=tmp_path, entries=[genesis(), unknown], seals=(2,)).written())
    assert (report.errors, report.entries_by_tag[99]) == (0, 1)
    assert [one.rule for one in report.findings] == ["tag.unknown"]


def test_additional_members_are_let_pass(tmp_path: Path) -> None:
    begun = intent("a-1", task="4711", proof={"binding": "x", "nested": [1, {"deep": None}]})
    log = ForgedLog(
        directory=tmp_path, entries=[*prelude(), begun, end(begun, BEGIN, "a-1", mood="fine")], seals=(6,)
    )
    assert checked(log.written()).errors == 0


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[Progress] = []
    sealed_story(tmp_path, cuts=(5, 8))
    verify_ledger(tmp_path, progress=told.append)
    assert [one.entries for one in told] == [5, 8, STORY]
    assert told[-1].read_bytes == told[-1].all_bytes > told[0].read_bytes > 0


# --- changed bytes ----------------------------------------------------------------------------------


@pytest.mark.requirement("LEDGER-08")
def test_no_byte_of_a_signed_log_can_be_changed(tmp_path: Path) -> None:
    begun = intent("a-1", payload=b"{}", proof={})
    entries = [*prelude(), begun, end(begun, BEGIN, "a-1")]
    ForgedLog(directory=tmp_path, entries=entries, seals=(6,), cuts=(2,), cosigned={6: START}).written()
    unnoticed = []
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        # Every byte in turn is for the tamper harness; here a step that meets each kind of byte.
        for at in range(0, path.stat().st_size, 7):
            before = flipped(path, at, 1 << at % 8)
            if verify_ledger(tmp_path, policy=policy()).status != "invalid":
                unnoticed.append((path.name, at))
            path.write_bytes(before)
    assert unnoticed == []
    assert verify_ledger(tmp_path, policy=policy()).status == "valid"


@pytest.mark.requirement("LEDGER-08")
def test_a_changed_byte_is_reported_at_its_entry_and_place(tmp_path: Path) -> None:
    sealed_story(tmp_path)
    path = tmp_path / FIRST
    at = path.read_bytes().index(b'"a-1"')
    flipped(path, at, 1)
    report = verify_ledger(tmp_path, key=KEY)
    damaged, changed_chain, *others = (one for one in report.findings if one.rule != "pair.no_intent")
    assert (damaged.rule, damaged.index, damaged.file) == ("entry.damaged", BEGIN, FIRST)
    assert damaged.start is not None
    assert damaged.stop is not None
    assert damaged.start < at < damaged.stop
    assert {changed_chain.rule, *(one.rule for one in others)} == {"checkpoint.root", "tile.content"}


@pytest.mark.requirement("LEDGER-08")
def test_a_changed_entry_with_all_sums_made_right_is_still_found(tmp_path: Path) -> None:
    log = sealed_story(tmp_path)
    log.entries[7] = entry(Tag.REFUSAL, {"action": "a-3", "agent": "other"}, b"{}")
    log.write_wal()
    report = checked(log)
    assert {"checkpoint.root", "tile.content"} <= rules(report)
    assert (report.signed, report.status) == (6, "invalid")


def test_what_is_beyond_the_last_checkpoint_can_at_most_be_torn(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, seals=(9,), head=False)
    path = tmp_path / FIRST
    content = path.read_bytes()
    last = FRAME_HEADER_BYTES + len(log.entries[-1].leaf)
    for lost in range(1, last):
        path.write_bytes(content[: len(content) - lost] + bytes(lost))
        report = checked(log)
        assert (report.errors, report.warnings) == (0, 1)
        assert "torn_tail" in [one.code for one in report.caveats]
    path.write_bytes(content[: len(content) - last - 1])
    assert {"entries.missing"} <= rules(checked(log))


# --- deleted, swapped, inserted, truncated ----------------------------------------------------------


@pytest.mark.requirement("LEDGER-08")
@pytest.mark.parametrize("redo_sums", [False, True])
@pytest.mark.parametrize("attack", ["delete", "swap", "insert", "repeat", "truncate"])
def test_entries_cannot_be_rearranged(tmp_path: Path, attack: str, redo_sums: bool) -> None:
    log = sealed_story(tmp_path, head=False)
    entries = log.entries
    extra = entry(Tag.REFUSAL, {"action": "a-9", "agent": "scout"})
    arranged = {
        "delete": [*entries[:7], *entries[8:]],
        "swap": [*entries[:6], entries[7], entries[6], *entries[8:]],
        "insert": [*entries[:7], extra, *entries[7:]],
        "repeat": [*entries[:8], entries[7], *entries[8:]],
        "truncate": entries[:8],
    }[attack]
    if redo_sums:
        log.entries = arranged
        log.write_wal()
    else:
        path = tmp_path / FIRST
        content, offset, stored = path.read_bytes(), SEGMENT_HEADER_BYTES, {}
        for one in entries:
            stop = offset + FRAME_HEADER_BYTES + len(one.leaf) + len(one.attachment)
            stored[one.leaf], offset = content[offset:stop], stop
        stored[extra.leaf] = frame_header(extra.leaf, b"", chain=bytes(32), batch=7) + extra.leaf
        frames = b"".join(stored[one.leaf] for one in arranged)
        path.write_bytes(content[:SEGMENT_HEADER_BYTES] + frames)
    report = checked(log)
    assert report.status == "invalid"
    if not redo_sums and attack != "truncate":
        named = [one.index for one in report.findings if one.rule == "entry.sequence"]
        assert named[0] == {"delete": 7, "swap": 6, "insert": 7, "repeat": 8}[attack]


@pytest.mark.requirement("LEDGER-08")
def test_a_log_signed_anew_by_somebody_else_is_not_this_log(tmp_path: Path) -> None:
    other, sign = log_key("ledger.example/thief")
    key = dataclasses.replace(KEY, public=other.public, key_id=type(KEY).ed25519(ORIGIN, other.public).key_id)
    log = ForgedLog(directory=tmp_path, entries=[genesis(key=key)], seals=(1,), signer=(key, sign)).written()
    report = checked(log)
    assert {"checkpoint.signature", "key.other", "genesis.key"} <= rules(report)
    report = verify_ledger(tmp_path)
    assert report.status == "valid_but"
    assert "key_not_given" in [one.code for one in report.caveats]


def test_a_rollback_is_found_with_a_kept_checkpoint_and_named_as_possible_without(tmp_path: Path) -> None:
    log = sealed_story(tmp_path)
    kept = log.note(STORY)
    ForgedLog(directory=tmp_path, entries=log.entries[:6], seals=(6,)).written()
    report = checked(log)
    assert (report.status, [one.code for one in report.caveats]) == ("valid_but", ["newer_removed"])
    report = verify_ledger(tmp_path, key=KEY, kept=kept)
    assert rules(report) == {"entries.missing"}


def test_a_fork_is_found_with_a_kept_checkpoint(tmp_path: Path) -> None:
    log = sealed_story(tmp_path)
    kept = log.note(STORY)
    forked = [*log.entries[:-1], entry(Tag.REFUSAL, {"action": "x", "agent": "y"})]
    ForgedLog(directory=tmp_path, entries=forked, seals=(6, STORY)).written()
    assert checked(log).errors == 0
    assert rules(verify_ledger(tmp_path, key=KEY, kept=kept)) == {"checkpoint.root"}
    assert rules(verify_ledger(tmp_path, key=KEY, kept=b"rubbish")) == {"kept.form"}


# --- files ------------------------------------------------------------------------------------------


def test_a_missing_segment_is_found_and_the_rest_still_read(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cuts=(5, 8))
    (tmp_path / "wal/0000000000000005.wal").unlink()
    report = checked(log)
    assert "segment.sequence" in rules(report)
    assert report.size == STORY
    assert report.signed == 0


@pytest.mark.parametrize("change", ["origin", "name", "header", "history", "huge", "gap"])
def test_a_foreign_segment_is_found(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = sealed_story(tmp_path, cuts=(5, 8))
    path = tmp_path / "wal/0000000000000008.wal"
    content = path.read_bytes()
    header = SegmentHeader.parse(content)
    if change == "origin":
        header = dataclasses.replace(header, origin_hash=origin_hash("other"))
    elif change == "history":
        header = dataclasses.replace(header, chain=bytes(32))
    elif change == "gap":
        header = dataclasses.replace(header, first_index=2**63)
    path.write_bytes(header.encoded() + content[SEGMENT_HEADER_BYTES:])
    if change == "name":
        path.rename(path.with_name("0000000000000009.wal"))
    elif change == "header":
        path.write_bytes(b"rubbish")
    elif change == "huge":
        monkeypatch.setattr("answerable.verify.segments.SEGMENT_BYTES_MAX", 10)
    assert (
        f"segment.{ {'history': 'sequence', 'gap': 'sequence', 'huge': 'header'}.get(change, change) }"
        in rules(checked(log))
    )


def test_a_bad_entry_in_the_middle_segment_is_an_error_even_unsigned(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cuts=(5, 8), seals=(), head=False)
    path = tmp_path / "wal/0000000000000005.wal"
    path.write_bytes(path.read_bytes()[:-30])
    assert "entry.damaged" in rules(checked(log))


def test_nothing_at_all_is_not_a_sound_log(tmp_path: Path) -> None:
    assert rules(verify_ledger(tmp_path)) == {"key.file", "log.empty"}
    assert verify_ledger(tmp_path).as_lines()[0] == "log of unknown name"


def test_the_head_must_agree(tmp_path: Path) -> None:
    log = sealed_story(tmp_path)
    for size, origin, rule in (
        (STORY + 1, ORIGIN, "entries.missing"),
        (5, ORIGIN, "head.history"),
        (5, "x", "head.origin"),
    ):
        head = Head(origin=origin, size=size, chain=bytes(32), clean=True)
        (tmp_path / "head").write_bytes(head.encoded())
        assert rules(checked(log)) == {rule}
    for rubbish in (b"", b"x" * 2_000_000):
        (tmp_path / "head").write_bytes(rubbish)
        assert rules(checked(log)) == {"head.damaged"}


def test_the_history_of_checkpoints_must_be_whole_and_in_order(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, tiles=False, head=False)
    history, newest = tmp_path / "checkpoints.log", tmp_path / "checkpoint"
    whole = history.read_bytes()
    three, seven = log.note(6), log.note(STORY)
    history.write_bytes(seven + b"\n" + three + b"\n")
    newest.write_bytes(three)
    assert "checkpoint.order" in rules(checked(log))
    history.write_bytes(three + b"\n")
    newest.write_bytes(seven)
    assert rules(checked(log)) == {"checkpoint.history"}
    history.write_bytes(whole)
    newest.unlink()
    assert rules(checked(log)) == {"checkpoint.missing"}
    newest.write_bytes(b"x" * 2_000_000)
    assert rules(checked(log)) == {"checkpoint.damaged"}
    newest.write_bytes(three)
    report = checked(log)
    assert (report.errors, [one.rule for one in report.findings]) == (0, ["checkpoint.behind"])


def test_a_first_checkpoint_may_be_in_the_history_alone(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, seals=(7,))
    (tmp_path / "checkpoint").unlink()
    report = checked(log)
    assert (report.errors, [one.rule for one in report.findings]) == (0, ["checkpoint.behind"])


def test_an_unfinished_last_checkpoint_is_torn_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, tiles=False, head=False)
    history = tmp_path / "checkpoints.log"
    whole, last = history.read_bytes(), log.note(STORY) + b"\n"
    (tmp_path / "checkpoint").write_bytes(log.note(6))
    for lost in range(1, len(last)):
        for rest in (whole[:-lost], whole[:-lost] + bytes(lost)):
            history.write_bytes(rest)
            report = checked(log)
            assert report.errors == 0, (lost, report.as_lines())
            assert "torn_tail" in [one.code for one in report.caveats]
    for at in range(len(whole) - len(last), len(whole)):
        history.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert checked(log).errors > 0, at


@pytest.mark.requirement("LEDGER-41")
def test_a_head_that_would_lead_an_opening_astray_is_found(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, entries=[*story()[:7], *prelude()[1:]], seals=(6, 8), cuts=(5, 7))
    assert checked(log).errors == 0
    head = log.head_now()
    assert head.sealed is not None
    [opened] = head.open
    assert (opened.entry, opened.segment) == (6, 5)
    for rule, changed in (
        ("head.open", dataclasses.replace(head, open=())),
        ("head.open", dataclasses.replace(head, open=(opened._replace(entry=4, segment=0), opened))),
        ("head.open", dataclasses.replace(head, open=(opened._replace(offset=opened.offset + 1),))),
        ("head.open", dataclasses.replace(head, open=(opened._replace(segment=0),))),
        ("head.sealed", _sealed(head, offset=head.sealed.offset + 1)),
        ("head.sealed", _sealed(head, segment=5)),
        ("head.sealed", _sealed(head, size=7, chain=log.chain(7), segment=5)),
        ("head.history", _sealed(head, chain=bytes(32))),
    ):
        (tmp_path / "head").write_bytes(changed.encoded())
        assert rules(checked(log)) >= {rule}, changed


@pytest.mark.requirement("LEDGER-41")
def test_an_intent_that_ended_after_the_head_was_written_may_be_in_it_or_not(tmp_path: Path) -> None:
    entries = story()
    log = sealed_story(tmp_path, entries=entries[:7], seals=(7,))
    head = log.head_now()
    grown = dataclasses.replace(log, entries=entries, seals=(7,), head=False).written()
    (tmp_path / "head").write_bytes(head.encoded())
    assert checked(grown).errors == 0
    (tmp_path / "head").write_bytes(dataclasses.replace(head, open=()).encoded())
    assert rules(checked(grown)) == {"head.open"}
    # Once the head speaks of the entry that ended it, it may leave the intent out.
    later = dataclasses.replace(head, size=10, chain=grown.chain(10), open=())
    (tmp_path / "head").write_bytes(later.encoded())
    assert checked(grown).errors == 0


def _sealed(head: Head, **changed: object) -> Head:
    assert head.sealed is not None
    return dataclasses.replace(head, sealed=dataclasses.replace(head.sealed, **changed))
