"""What witnesses add: attacks that a stolen log key allows, and what a policy makes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from answerable.core.ledger.batch_head import HeadFields, batch_head_key
from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.note import signed_note
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN, log_key
from answerable.verify.ledger_history import CLOCK_SKEW_MS_MAX, verify_ledger
from answerable.verify.report import LedgerReport, instant
from tests.worlds.ledger import (
    KEY,
    STORY,
    ForgedLog,
    codes,
    entry,
    flipped,
    policy,
    prelude,
    quantum_key,
    rules,
    sealed_story,
    story,
)

SECOND = 1000


def under(log: ForgedLog, *witnesses: str, quorum: str = "all", **given: object) -> LedgerReport:
    """The verdict under a policy that trusts these witnesses."""
    return verify_ledger(log.directory, policy=policy(*witnesses, quorum=quorum), **given)


def closing(number: int, at: int) -> Entry:
    return entry(Tag.MANDATE_CLOSED, {"mandate": f"m-{number}"}, at=at)


def timed(directory: Path, times: Sequence[int], cosigned: dict[int, int]) -> ForgedLog:
    """A log of entries of these times after the prelude."""
    entries = [*prelude(), *(closing(number, at) for number, at in enumerate(times))]
    return ForgedLog(
        directory=directory, entries=entries, seals=sorted({*cosigned, len(entries)}), cosigned=cosigned
    ).written()


def test_a_witnessed_log_is_plainly_valid(tmp_path: Path) -> None:
    report = under(sealed_story(tmp_path, cosigned={6: START, STORY: START + 10 * SECOND}))
    assert (report.status, report.findings, report.caveats) == ("valid", (), ())
    standing = report.standing
    assert (standing.witnessed, standing.witnessed_at) == (STORY, START + 10 * SECOND)
    assert standing.cosigners == ("witness.example/w1",)
    assert any("witnessed as of 20" in line for line in report.as_lines())
    assert report.as_value()["witnessed"] == STORY


def test_what_no_witness_saw_yet_is_named(tmp_path: Path) -> None:
    report = under(sealed_story(tmp_path, cosigned={6: START}))
    assert report.status == "valid_but"
    assert codes(report) == ["unwitnessed_tail", "newer_removed"]
    assert any("last 4 entries, from 6 on" in one.message for one in report.caveats)


@pytest.mark.requirement("LEDGER-30")
def test_a_log_signed_anew_with_the_stolen_key_is_not_valid(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cosigned={6: START, STORY: START})
    changed = [*log.entries[:-1], entry(Tag.REFUSAL, {"action": "x", "agent": "y"})]
    forged = ForgedLog(directory=tmp_path, entries=changed, seals=(6, STORY))
    forged.write_wal()
    forged.write_checkpoints()
    forged.write_tiles()
    # The cosignatures still there are over another tree.
    assert "checkpoint.root" in rules(under(forged))
    for name in ("cosigned", "cosigned.log"):
        (tmp_path / name).unlink()
    report = under(forged)
    assert (report.status, "not_witnessed" in codes(report)) == ("unmet", True)
    (tmp_path / "cosigned.log").write_bytes(log.cosigned_note(6) + b"\n")
    (tmp_path / "cosigned").write_bytes(log.cosigned_note(6))
    report = under(forged)
    assert (report.status, "unwitnessed_tail" in codes(report)) == ("valid_but", True)


@pytest.mark.requirement("SAME-05")
def test_a_fork_by_a_thief_of_the_logs_key_does_not_have_the_cosignature_that_is_asked_for(
    tmp_path: Path,
) -> None:
    log = sealed_story(tmp_path, cosigned={6: START})
    changed = [*log.entries[:-1], entry(Tag.REFUSAL, {"action": "x", "agent": "y"})]
    forged = ForgedLog(directory=tmp_path, entries=changed, seals=(6, STORY))
    forged.write_wal()
    forged.write_checkpoints()
    forged.write_tiles()
    report = under(forged, witnessed_since=START + 1)
    assert (report.status, codes(report)) == ("unmet", ["unwitnessed_tail", "newer_removed", "stale"])
    assert [one.code for one in report.caveats if one.unmet] == ["stale"]
    assert any(line.startswith("NOT MET") for line in report.as_lines())


@pytest.mark.requirement("SAME-06")
def test_an_older_copy_says_that_newer_entries_may_exist_unless_it_was_told_how_far_it_goes(
    tmp_path: Path,
) -> None:
    log = sealed_story(tmp_path, cosigned={STORY: START})
    report = under(log)
    assert (report.status, report.newer_since) == ("valid", START)
    (line,) = [line for line in report.as_lines() if line.startswith("valid")]
    assert f"newer entries may exist since {instant(START)}" in line
    assert "nothing is left open" not in line
    assert report.as_value()["newer_since"] == START
    for told in (
        under(log, witnessed_since=START),
        verify_ledger(tmp_path, policy=policy(), kept=log.note(STORY)),
    ):
        assert (told.status, told.newer_since) == ("valid", 0)
        assert any("nothing is left open" in line for line in told.as_lines())


@pytest.mark.requirement("LEDGER-30")
def test_a_cosigner_that_the_policy_does_not_name_counts_for_nothing(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cosigned={STORY: START}, witnesses=("witness.example/mine",))
    report = under(log)
    assert (report.status, report.standing.witnessed) == ("unmet", 0)


@pytest.mark.requirement("LEDGER-30")
def test_too_few_cosigners_are_no_quorum(tmp_path: Path) -> None:
    names = ("witness.example/w1", "witness.example/w2", "witness.example/w3")
    log = sealed_story(tmp_path, cosigned={STORY: START}, witnesses=names[:1])
    assert under(log, *names, quorum="2").status == "unmet"
    log = dataclasses.replace(log, witnesses=names[1:]).written()
    assert under(log, *names, quorum="2").status == "valid"


@pytest.mark.requirement("LEDGER-30")
def test_a_broken_cosignature_by_a_known_witness_is_wrong(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cosigned={STORY: START})
    note = (tmp_path / "cosigned.log").read_bytes()
    flipped(tmp_path / "cosigned.log", len(note) - 30, 1)
    assert {"cosignature", "checkpoint.history"} <= rules(under(log))


@pytest.mark.requirement("LEDGER-31")
@pytest.mark.parametrize("ahead", [False, True])
def test_a_time_outside_of_what_witnesses_saw_is_found_at_its_entry(tmp_path: Path, ahead: bool) -> None:
    cosigned = {6: START + 600 * SECOND, 9: START + 1200 * SECOND}
    sound = [
        START,
        START + 599 * SECOND,
        START + 601 * SECOND,
        START + 700 * SECOND,
        START + 1199 * SECOND,
    ]
    assert under(timed(tmp_path, sound, cosigned)).errors == 0
    skew = CLOCK_SKEW_MS_MAX
    wrong = START + (1200 * SECOND + skew + 1 if ahead else 600 * SECOND - skew - 1)
    report = under(timed(tmp_path, [*sound[:3], wrong, *sound[4:]], cosigned))
    assert rules(report) == {"time.ahead" if ahead else "time.back_dated"}
    found = next(one for one in report.findings if one.severity == "error")
    assert (found.index, found.file) == (7, "wal/0000000000000000.wal")
    assert found.start is not None
    lenient = under(
        timed(tmp_path, [*sound[:3], wrong, *sound[4:]], cosigned), clock_skew_ms_max=skew + SECOND
    )
    assert lenient.errors == 0


@pytest.mark.requirement("LEDGER-31")
def test_the_slowest_of_a_quorum_and_a_witness_with_a_wrong_clock_blame_nobody(tmp_path: Path) -> None:
    names = ("witness.example/w1", "witness.example/w2")
    log = timed(tmp_path, [START, START + 600 * SECOND], {})
    size = len(log.entries)
    log = dataclasses.replace(log, witnesses=names, cosigned={size: START + 600 * SECOND})
    early = log.cosigned_note(size, START)
    late = log.cosigned_note(size).split(b"\n\n")[1].splitlines()
    # One of them signed ten minutes before the other: the quorum of both was reached only then.
    lines = early.splitlines()
    note = b"\n".join([*lines[:-1], late[-1]]) + b"\n"
    (tmp_path / "cosigned.log").write_bytes(note + b"\n")
    (tmp_path / "cosigned").write_bytes(note)
    report = under(log, *names)
    assert (report.status, report.standing.witnessed_at) == ("valid", START + 600 * SECOND)


@pytest.mark.requirement("LEDGER-32")
def test_a_rollback_of_everything_shows_by_age_or_by_what_was_kept(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cosigned={6: START, STORY: START + 600 * SECOND})
    kept = log.cosigned_note(STORY)
    ForgedLog(directory=tmp_path, entries=log.entries[:6], seals=(6,), cosigned={6: START}).written()
    old = under(log)
    assert (old.status, old.standing.witnessed_at) == ("valid", START), "it is an old copy, and says of when"
    stale = under(log, witnessed_since=START + 1)
    assert (stale.status, codes(stale)) == ("unmet", ["stale"])
    assert rules(under(log, kept=kept)) == {"entries.missing"}


def batch_head(log: ForgedLog, size: int, chain: bytes | None = None, origin: str = ORIGIN) -> bytes:
    key, sign = log_key(origin)
    text = HeadFields(origin, size, chain or log.chain(size), START).text()
    return signed_note(text, key=batch_head_key(key), sign=sign).encoded()


@pytest.mark.requirement("LEDGER-32")
def test_a_kept_batch_head_shows_what_was_acknowledged(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cuts=(5, 8), seals=(6,))
    heads = b"\n".join(batch_head(log, size) for size in (5, 7, STORY))
    report = verify_ledger(tmp_path, key=KEY, kept=heads)
    assert (report.errors, codes(report)) == (0, ["unsigned_tail"])
    assert verify_ledger(tmp_path, key=KEY, kept=log.note(6) + b"\n" + heads).errors == 0
    # The last entry is exchanged after it was acknowledged and before anything was signed over it.
    ForgedLog(directory=tmp_path, entries=[*log.entries[:-1], closing(1, START)], seals=(6,)).written()
    assert verify_ledger(tmp_path, key=KEY).errors == 0
    assert rules(verify_ledger(tmp_path, key=KEY, kept=heads)) == {"batch_head.history"}
    ForgedLog(directory=tmp_path, entries=log.entries[:-1], seals=(6,)).written()
    assert rules(verify_ledger(tmp_path, key=KEY, kept=heads)) == {"entries.missing"}
    other = batch_head(log, 5, origin="ledger.example/other")
    assert rules(verify_ledger(tmp_path, key=KEY, kept=other)) == {"batch_head.signature"}
    assert rules(verify_ledger(tmp_path, key=KEY, kept=heads + b"\nrest\n")) >= {"kept.form"}


@pytest.mark.requirement("LEDGER-33")
def test_a_second_key_of_the_log_must_sign_on(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, quantum=True)
    assert verify_ledger(tmp_path).errors == 0
    assert verify_ledger(tmp_path, key=KEY).errors == 0
    plain = dataclasses.replace(log, quantum=False)
    (tmp_path / "checkpoints.log").write_bytes(log.note(6) + b"\n" + plain.note(STORY) + b"\n")
    (tmp_path / "checkpoint").write_bytes(plain.note(STORY))
    assert rules(verify_ledger(tmp_path)) == {"checkpoint.signature"}
    # Even to who only knows the first key: what once signed does not stop.
    assert rules(verify_ledger(tmp_path, key=KEY)) == {"checkpoint.signature"}
    (tmp_path / "checkpoints.log").write_bytes(plain.note(6) + b"\n" + plain.note(STORY) + b"\n")
    assert rules(verify_ledger(tmp_path)) == {"checkpoint.signature"}
    other = quantum_key("ledger.example/other")[0]
    (tmp_path / "log.pub").write_text(f"{KEY.formatted()}\n{other.formatted()}\n")
    assert "key.file" in rules(verify_ledger(tmp_path, key=KEY))


def test_keys_and_policy_must_speak_of_one_log(tmp_path: Path) -> None:
    log = sealed_story(tmp_path, cosigned={STORY: START})
    other = log_key("ledger.example/other")[0]
    assert "key.policy" in rules(verify_ledger(tmp_path, policy=policy(key=other)))
    assert "key.policy" in rules(verify_ledger(tmp_path, key=KEY, policy=policy(key=other)))
    assert verify_ledger(tmp_path, key=KEY, policy=policy()).status == "valid"
    (tmp_path / "log.pub").write_text("".join(f"{KEY.formatted()}\n" for _ in range(9)))
    assert rules(under(log)) == {"key.file"}


def test_every_entry_of_the_story_is_told_of(tmp_path: Path) -> None:
    assert len(story()) == STORY
    assert under(sealed_story(tmp_path, cosigned={STORY: START})).size == STORY
