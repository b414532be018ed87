"""Verify a directory of shards and their log of logs: each log by itself, and their statements about each other.

Laws:
- the key of the log of logs is the only one that must be known: its heads contain the keys of the shards;
- a shard must lead to the checkpoint in each of its heads: the root is computed again from the shard's leaves;
- a shard's entries that the log of logs covers count as witnessed as far as the log of logs itself is witnessed;
- a shard with a head that is missing from the directory is an error; references to other logs of the set are followed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.codec import notes_in
from answerable.core.ledger.shards import HEADS, checked_shard_name
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.policy import Log
from answerable.errors import Malformed, shown
from answerable.verify.citations import OUTSIDE_MAX
from answerable.verify.ledger_history import (
    CLOCK_SKEW_MS_MAX,
    CLOCK_STEP_BACK_MS_MAX,
    Progress,
    verify_ledger,
)
from answerable.verify.log_signatures import KEPT_BYTES_MAX, Signed
from answerable.verify.report import Caveat, Finding, Findings
from answerable.verify.set_report import LedgerSetReport
from answerable.verify.shard_heads import read_heads, shard_of, stored_leaves
from answerable.verify.standing import caveats_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from answerable.core.tlog.note import VerifierKey
    from answerable.core.tlog.policy import Policy
    from answerable.verify.report import LedgerReport
    from answerable.verify.shard_heads import HeadAt

_HEADS_FILE: Final = "heads of the log of logs"
_BATCH_HEAD: Final = b"answerable batch head "


def is_ledger_set(directory: Path) -> bool:
    """Whether the directory is one of several logs, not of a single log."""
    return (directory / "shards").is_dir() or (directory / HEADS).is_dir()


def verify_ledger_set(
    directory: Path,
    *,
    key: VerifierKey | None = None,
    policy: Policy | None = None,
    kept: bytes | None = None,
    witnessed_since: int = 0,
    clock_step_back_ms_max: int = CLOCK_STEP_BACK_MS_MAX,
    clock_skew_ms_max: int = CLOCK_SKEW_MS_MAX,
    processes: int = 1,
    progress: Callable[[Progress], None] | None = None,
) -> LedgerSetReport:
    """Check everything in a directory of shards. Never raises for the directory's content.

    key: of the log of logs. policy: names the log of logs and whose cosignatures count; it may name shards, too. kept:
    checkpoints and batch heads of any of the logs. The other parameters apply to each log, as in `verify_ledger`.
    Raises the same.
    """
    check = partial(
        verify_ledger,
        witnessed_since=witnessed_since,
        clock_step_back_ms_max=clock_step_back_ms_max,
        clock_skew_ms_max=clock_skew_ms_max,
        processes=processes,
    )
    return _Set(directory, key, policy, check, _Meter(directory, progress)).verified(kept)


@dataclass(slots=True)
class _Set:
    directory: Path
    key: VerifierKey | None
    policy: Policy | None
    check: Callable[..., LedgerReport]
    meter: _Meter

    def verified(self, kept: bytes | None) -> LedgerSetReport:
        findings = Findings()
        notes = _notes_by_origin(kept, findings)
        heads, covered = self._heads(notes, findings)
        base = heads.origin.removesuffix(f"/{HEADS}") if heads is not None and heads.origin else None
        shards: dict[str, LedgerReport] = {}
        caveats: list[Caveat] = []
        if (self.directory / "wal").is_dir():
            message = "there is another log beside the shards, which was not checked"
            caveats.append(Caveat(code="another_log", message=message))
        for name in _shards_in(self.directory, findings):
            origin = f"{base}/{name}" if base is not None else None
            history = covered.get(origin, []) if origin is not None else []
            note = notes.pop(origin, None) if origin is not None else None
            report = self._shard(name, history, note)
            shards[name] = _standing_under(report, heads, history)
            caveats += _uncovered(name, shards[name], history, is_told=self.policy is not None)
        self._check_origins(base, covered, shards, findings)
        for origin in notes:
            _wrong(findings, "kept.origin", f"what was kept of {shown(origin)} is of no log that is here")
        shards = _followed(self.directory, heads, shards, findings)
        return LedgerSetReport(
            heads=heads,
            shards=shards,
            findings=tuple(findings.kept),
            errors=findings.counts["error"],
            warnings=findings.counts["warning"],
            caveats=tuple(caveats),
        )

    def _heads(
        self, notes: dict[str, bytes], findings: Findings
    ) -> tuple[LedgerReport | None, dict[str, list[HeadAt]]]:
        place = self.directory / HEADS
        if not place.is_dir():
            _wrong(findings, "heads.missing", "the log of logs is missing: nothing covers the shards")
            return None, {}
        origin = next((one for one in notes if one.endswith(f"/{HEADS}")), "")
        report = self.check(
            place,
            key=self.key,
            policy=self.policy,
            kept=notes.pop(origin, None),
            progress=self.meter.next_log(),
        )
        return report, read_heads(place, findings.add)

    def _shard(self, name: str, history: Sequence[HeadAt], kept: bytes | None) -> LedgerReport:
        place = self.directory / "shards" / name
        key = history[0].head.key if history else None
        policy = self.policy
        if policy is not None and not any(
            key is not None and one.key.name == key.name for one in policy.logs
        ):
            policy = replace(policy, logs=(Log(key=key),)) if key is not None else None
        report = self.check(
            place,
            key=key,
            policy=policy,
            kept=kept,
            covered=[
                Signed(checkpoint=one.head.checkpoint, file=_HEADS_FILE, start=one.index, stop=one.index + 1)
                for one in history
            ],
            progress=self.meter.next_log(),
        )
        return replace(report, findings=tuple(_placed(one) for one in report.findings))

    def _check_origins(
        self,
        base: str | None,
        covered: dict[str, list[HeadAt]],
        shards: dict[str, LedgerReport],
        findings: Findings,
    ) -> None:
        """Check that every head is of a shard in the directory, and that every shard has the name of its directory."""
        if base is None:
            return
        for origin, history in covered.items():
            name, index = shard_of(origin, base), history[0].index
            if name is None:
                message = f"the head of a log called {shown(origin)}, which is no shard of {shown(base)}"
                _wrong(findings, "shard_head.origin", message, index)
            elif name not in shards:
                size = history[-1].head.size
                message = f"shard {shown(name)} is not here: the log of logs covers {size} entries of it"
                _wrong(findings, "shard.missing", message, history[-1].index)
        for name, report in shards.items():
            if report.origin and report.origin != f"{base}/{name}":
                message = f"the log in shards/{name} is called {shown(report.origin)}"
                _wrong(findings, "shard.origin", message)


def _standing_under(
    report: LedgerReport, heads: LedgerReport | None, history: Sequence[HeadAt]
) -> LedgerReport:
    """Return a shard's report with what the log of logs adds: a witness of a shard's head is a witness of the shard."""
    own = report.standing
    if heads is None or not history:
        return replace(report, caveats=caveats_of(own))
    above = heads.standing
    standing = replace(own, key_given=above.key_given)
    if not heads.errors and not report.errors:
        seen = _covered_by(history, above.witnessed)
        if seen >= own.witnessed and seen:
            standing = replace(
                standing, witnessed=seen, witnessed_at=above.witnessed_at, cosigners=above.cosigners
            )
        kept = _covered_by(history, above.kept)
        standing = replace(standing, kept=max(own.kept, kept or -1))
    return replace(report, standing=standing, caveats=caveats_of(standing))


def _covered_by(history: Sequence[HeadAt], size: int) -> int:
    """Return how many entries of a shard the first `size` entries of the log of logs cover."""
    return max((one.head.size for one in history if one.index < size), default=0)


def _uncovered(
    name: str, report: LedgerReport, history: Sequence[HeadAt], *, is_told: bool
) -> Iterator[Caveat]:
    """Yield the caveats on entries that no head covers. is_told: whether the report already states what witnesses have
    not seen."""
    if not history:
        yield Caveat(code="uncovered", message=f"the log of logs has no head of shard {name} yet")
        return
    covered = max(one.head.size for one in history)
    if report.size > covered and not is_told:
        message = (
            f"the last {report.size - covered} entries of shard {name}, from {covered} on, are in no head yet"
        )
        yield Caveat(code="uncovered_tail", message=message)


def _placed(finding: Finding) -> Finding:
    """Add the head's entry to the message of a finding about a head."""
    if finding.file != _HEADS_FILE:
        return finding
    message = f"{finding.message}, as its head in entry {finding.start} of the log of logs says"
    return replace(finding, message=message, file=None, start=None, stop=None)


def _followed(
    directory: Path, heads: LedgerReport | None, shards: dict[str, LedgerReport], findings: Findings
) -> dict[str, LedgerReport]:
    """Follow references between logs of the set. References to other logs stay open."""
    places = {report.origin: directory / "shards" / name for name, report in shards.items()}
    if heads is not None:
        places[heads.origin] = directory / HEADS
    wanted: dict[str, set[int]] = {}
    for report in shards.values():
        for one, _ in report.references:
            wanted.setdefault(one.log, set()).add(one.entry)
    hashes = {
        (origin, index): leaf_hash(leaf).hex()
        for origin, indexes in wanted.items()
        if origin in places
        for index, leaf in stored_leaves(places[origin])
        if index in indexes
    }
    followed: dict[str, LedgerReport] = {}
    for name, report in shards.items():
        out = 0
        for one, index in report.references:
            if one.log not in places:
                out += 1
                continue
            there = hashes.get((one.log, one.entry))
            if there == one.leaf:
                continue
            rule = "reference.missing" if there is None else "reference.leaf_hash"
            what = "which is not there" if there is None else "which has another leaf hash"
            message = f"entry {index} of shard {name} refers to entry {one.entry} of {shown(one.log)}, {what}"
            _wrong(findings, rule, message)
        followed[name] = _left_open(report, out)
    return followed


def _left_open(report: LedgerReport, out: int) -> LedgerReport:
    """Return a report whose references were followed. All stay open if some lead out of the set, or were too many to
    store."""
    if not report.references or out or len(report.references) >= OUTSIDE_MAX:
        return report
    standing = replace(report.standing, references_elsewhere=0)
    caveats = tuple(one for one in report.caveats if one.code != "references_elsewhere")
    return replace(report, standing=standing, caveats=caveats)


class _Meter:
    """Progress over all logs together."""

    def __init__(self, directory: Path, progress: Callable[[Progress], None] | None) -> None:
        self._progress = progress
        self._entries = self._bytes = 0
        self._all = sum(path.stat().st_size for path in directory.rglob("*.wal")) if progress else 0

    def next_log(self) -> Callable[[Progress], None] | None:
        """Return the progress callback for the next log."""
        if self._progress is None:
            return None
        told, entries, read = self._progress, self._entries, self._bytes

        def step(done: Progress) -> None:
            self._entries, self._bytes = entries + done.entries, read + done.read_bytes
            told(Progress(self._entries, self._bytes, max(self._all, self._bytes)))

        return step


def _notes_by_origin(kept: bytes | None, findings: Findings) -> dict[str, bytes]:
    """Group the caller's stored notes by log."""
    if kept is None:
        return {}
    content = kept.rstrip(b"\n") + b"\n\n"
    notes, used = notes_in(content)
    if len(kept) > KEPT_BYTES_MAX or used < len(content) - 1 or not notes:
        _wrong(findings, "kept.form", "what was kept is not made of signed notes")
        return {}
    sorted_notes: dict[str, bytes] = {}
    for note in notes:
        lines = note.split(b"\n", 2)
        origin = lines[1 if note.startswith(_BATCH_HEAD) else 0].decode("utf-8", "replace")
        sorted_notes[origin] = sorted_notes.get(origin, b"") + note + b"\n"
    return sorted_notes


def _shards_in(directory: Path, findings: Findings) -> list[str]:
    place = directory / "shards"
    names = []
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        try:
            names.append(checked_shard_name(path.name))
        except Malformed:
            message = f"{shown(path.name)} is among the shards, but is not the name of one"
            findings.add(Finding(rule="shard.stranger", severity="note", message=message))
    return names


def _wrong(findings: Findings, rule: str, message: str, index: int | None = None) -> None:
    file = HEADS if index is not None else None
    findings.add(Finding(rule=rule, severity="error", message=message, index=index, file=file))
