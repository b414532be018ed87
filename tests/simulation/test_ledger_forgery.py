"""A whole history forged: entries taken out, put in, swapped or back-dated, and everything around them made to fit.

Two thieves are at work. One has the directory: frames, chain, tiles and head are redone, signatures are not. The other
has the log's key, too, and signs what he likes; what he lacks is the witness's key, and the past.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from answerable.core.ledger.entry import Entry
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.cosignature import cosignature
from answerable.core.tlog.note import Note, VerifierKey
from answerable.testing.clock import START
from answerable.testing.contracts.ledger import ORIGIN, log_key, refusal_entry
from answerable.verify.report import LedgerReport
from tests.probes.tampered_log import sixteen, verdict
from tests.worlds.ledger import ForgedLog, codes, entry, genesis, rules, witness_key

pytestmark = pytest.mark.requirement("PROVE-04")

SEALS = (6, 11, 16)
MINUTE_MS = 60_000
COSIGNED = {6: START + 10_000, 11: START + 20_000, 16: START + 30_000}


def history() -> list[Entry]:
    """Sixteen entries, of which the first twelve bear no relation to the last four."""
    return [genesis(), *sixteen()][:16]


def true_log(directory: Path, **changed: object) -> ForgedLog:
    """As the writer and the witness made it."""
    log = ForgedLog(directory=directory, entries=history(), seals=SEALS, cosigned=COSIGNED)
    return dataclasses.replace(log, **changed).written()


def with_directory(tmp_path: Path, entries: Sequence[Entry]) -> LedgerReport:
    """The first thief's work: all but the signatures made to fit."""
    log = true_log(tmp_path / "log")
    forged = dataclasses.replace(log, entries=list(entries), seals=(len(entries),))
    for old in (log.directory / "wal").iterdir():
        old.unlink()
    forged.write_wal()
    forged.write_tiles()
    return verdict(log.directory)


def with_key(tmp_path: Path, entries: Sequence[Entry], *, keeps_cosigned: bool) -> LedgerReport:
    """The second thief's: signed anew, without cosignatures or with the true ones beside."""
    log = true_log(tmp_path / "log")
    cosigned = {name: (log.directory / name).read_bytes() for name in ("cosigned", "cosigned.log")}
    seals = [size for size in (*SEALS, len(entries)) if size <= len(entries)]
    dataclasses.replace(log, entries=list(entries), seals=sorted(set(seals)), cosigned={}).written()
    for name, content in cosigned.items():
        if keeps_cosigned:
            (log.directory / name).write_bytes(content)
        else:
            (log.directory / name).unlink()
    return verdict(log.directory)


def altered(number: int) -> Entry:
    """An entry that never was."""
    return refusal_entry(700 + number, b'"forged"')


FORGERIES: dict[str, Callable[[list[Entry], int], list[Entry]]] = {
    "deleted": lambda entries, at: entries[:at] + entries[at + 1 :],
    "inserted": lambda entries, at: [*entries[:at], altered(at), *entries[at:]],
    "doubled": lambda entries, at: [*entries[: at + 1], *entries[at:]],
    "replaced": lambda entries, at: [*entries[:at], altered(at), *entries[at + 1 :]],
    "swapped with the next": lambda entries, at: [
        *entries[:at],
        *reversed(entries[at : at + 2]),
        *entries[at + 2 :],
    ],
    "cut off from here on": lambda entries, at: entries[:at],
}


def forged_histories(what: str) -> list[tuple[int, list[Entry]]]:
    """At every entry but the first, which every log must have; and not such that only something follows the last one,
    which is what any log may do next."""
    entries = history()
    last = len(entries) - (what in ("swapped with the next", "doubled"))
    return [(at, FORGERIES[what](entries, at)) for at in range(1, last)]


def test_the_true_log_is_valid(tmp_path: Path) -> None:
    report = verdict(true_log(tmp_path / "log").directory)
    assert (report.status, report.size, report.standing.witnessed) == ("valid", 16, 16), report.as_lines()


@pytest.mark.parametrize("what", FORGERIES)
def test_without_the_key_no_history_can_be_made_to_fit(tmp_path: Path, what: str) -> None:
    for at, entries in forged_histories(what):
        report = with_directory(tmp_path / str(at), entries)
        assert report.status == "invalid", f"{at} {what}: {report.as_lines()}"
        # Which checkpoint the forged entries contradict says between which sizes the forgery begins.
        named = [one for one in report.findings if one.rule in ("checkpoint.root", "entries.missing")]
        assert named, f"{at} {what}: {report.as_lines()}"


@pytest.mark.parametrize("keeps_cosigned", [True, False], ids=["true cosignatures beside", "no cosignatures"])
@pytest.mark.parametrize("what", FORGERIES)
def test_the_log_s_own_key_is_not_enough(tmp_path: Path, what: str, keeps_cosigned: bool) -> None:
    for at, entries in forged_histories(what):
        report = with_key(tmp_path / str(at), entries, keeps_cosigned=keeps_cosigned)
        if keeps_cosigned:
            assert report.status == "invalid", f"{at} {what}: {report.as_lines()}"
            assert {"checkpoint.root", "entries.missing"} & rules(report)
        else:
            assert report.status != "valid", f"{at} {what}: {report.as_lines()}"
            assert report.status == "invalid" or "not_witnessed" in codes(report)


def test_a_fork_after_the_last_cosignature_is_left_open_and_refuted_by_what_was_kept(tmp_path: Path) -> None:
    log = true_log(tmp_path / "log")
    kept = log.note(16)
    before = dict(list(COSIGNED.items())[:2])
    fork = [*history()[:11], *(altered(number) for number in range(5))]
    dataclasses.replace(log, entries=fork, cosigned=before).written()
    report = verdict(log.directory)
    assert report.status == "valid_but", report.as_lines()
    assert (report.standing.witnessed, "unwitnessed_tail" in codes(report)) == (11, True)
    shown = verdict(log.directory, kept=kept)
    assert shown.status == "invalid"
    assert "checkpoint.root" in rules(shown)


def rolled_back(tmp_path: Path) -> ForgedLog:
    """Everything as it was at eleven entries: the newest segment with its checkpoint, cosignature, tiles and head."""
    log = true_log(tmp_path / "log", entries=history()[:11], seals=SEALS[:2])
    return dataclasses.replace(log, cosigned=dict(list(COSIGNED.items())[:2])).written()


def test_a_roll_back_is_stale_where_a_newer_cosignature_is_asked_for(tmp_path: Path) -> None:
    report = verdict(rolled_back(tmp_path).directory, witnessed_since=COSIGNED[16])
    assert report.status == "unmet", report.as_lines()
    assert "stale" in codes(report)
    # What it says of itself without that is true, and says as of when.
    alone = verdict(rolled_back(tmp_path).directory)
    assert (alone.standing.witnessed, alone.standing.witnessed_at) == (11, COSIGNED[11])


def test_a_roll_back_is_refuted_by_a_kept_checkpoint(tmp_path: Path) -> None:
    log = rolled_back(tmp_path)
    kept = true_log(tmp_path / "true").note(16)
    report = verdict(log.directory, kept=kept)
    assert report.status == "invalid"
    assert "entries.missing" in rules(report)


def dated(entries: Sequence[Entry], first: int, at: int) -> list[Entry]:
    """The same, but from this one on refusals that say another time."""
    return [
        *entries[:first],
        *(
            entry(Tag.REFUSAL, {"action": f"late-{number}", "agent": "scout"}, b'"late"', at=at)
            for number in range(len(entries) - first)
        ),
    ]


@pytest.mark.parametrize("minutes", [-120, -5, 25])
def test_entries_dated_past_what_witnesses_saw_are_named(tmp_path: Path, minutes: int) -> None:
    """The witness cosigns what it is shown, but its times stand: between two cosignatures an entry is of that time."""
    at = COSIGNED[11] + minutes * MINUTE_MS
    log = true_log(tmp_path / "log", entries=dated(history(), 11, at))
    report = verdict(log.directory)
    rule = "time.back_dated" if minutes < 0 else "time.ahead"
    assert report.status == "invalid", report.as_lines()
    assert {one.index for one in report.findings if one.rule == rule} == set(range(11, 16))


def test_a_log_signed_with_another_key_is_not_this_log(tmp_path: Path) -> None:
    thief = log_key("thief.example")
    other = VerifierKey.ed25519(ORIGIN, thief[0].public)
    entries = [genesis(key=other), *history()[1:]]
    log = true_log(tmp_path / "log", entries=entries, signer=(other, thief[1]))
    report = verdict(log.directory)
    assert report.status == "invalid"
    assert "key.other" in rules(report)


@pytest.mark.parametrize("whose", ["witness.example/w2", "witness.example/of-another-house"])
def test_a_cosignature_of_another_witness_counts_for_nothing(tmp_path: Path, whose: str) -> None:
    log = true_log(tmp_path / "log")
    key, sign = witness_key(whose)
    named = VerifierKey.ed25519_cosignature("witness.example/w1", key.public)
    note = Note.parse(log.note(16))
    line = cosignature(note.text, key=named, timestamp=COSIGNED[16] // 1000, sign=sign)
    forged = Note(text=note.text, signatures=(*note.signatures, line)).encoded()
    (log.directory / "cosigned.log").write_bytes(forged + b"\n")
    (log.directory / "cosigned").write_bytes(forged)
    report = verdict(log.directory)
    assert report.status != "valid"
    assert "not_witnessed" in codes(report)


def test_a_cosignature_moved_to_another_checkpoint_is_refused(tmp_path: Path) -> None:
    log = true_log(tmp_path / "log")
    small, large = Note.parse(log.cosigned_note(11)), Note.parse(log.cosigned_note(16))
    moved = Note(text=large.text, signatures=(large.signatures[0], small.signatures[1])).encoded()
    (log.directory / "cosigned.log").write_bytes(moved + b"\n")
    (log.directory / "cosigned").write_bytes(moved)
    report = verdict(log.directory)
    assert report.status == "invalid"
    assert "cosignature" in rules(report)
