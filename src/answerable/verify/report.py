"""Represent the result of verifying a log, as text and as JSON.

`valid`: nothing is left open. `valid_but`: everything present is correct, and the report names what cannot be excluded
without a witness or without missing data. `unmet`: everything present is correct, and something that the caller
required is missing: a quorum of witnesses, or a cosignature since a time. `invalid`: something is wrong, and the report
says where.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue

Severity: TypeAlias = Literal["error", "warning", "note"]
Status: TypeAlias = Literal["valid", "valid_but", "unmet", "invalid"]

FINDINGS_MAX: Final = 200
"""Findings stored of each severity; all are counted."""

_STATUS_LINES: Final[dict[str, str]] = {
    "valid": "valid: every entry is in order, signed, and nothing is left open",
    "valid_but": "valid, but some things cannot be excluded without a witness or another copy:",
    "unmet": "NOT MET: what is here is in order, and what was asked for is not here:",
    "invalid": "INVALID: this ledger is not what was written",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault or note. rule: stable code. index: entry. file: relative to the log; start, stop: byte positions in it.
    None: no single position."""

    rule: str
    severity: Severity
    message: str
    index: int | None = None
    file: str | None = None
    start: int | None = None
    stop: int | None = None

    def as_value(self) -> dict[str, JSONValue]:
        """Return the finding for JSON."""
        return {
            "entry": self.index,
            "file": self.file,
            "message": self.message,
            "rule": self.rule,
            "severity": self.severity,
            "start": self.start,
            "stop": self.stop,
        }

    def as_line(self) -> str:
        """Return the finding as a line for the terminal."""
        place = [] if self.index is None else [f"entry {self.index}"]
        if self.file is not None:
            span = "" if self.start is None else f" bytes {self.start} to {self.stop}"
            place.append(f"{self.file}{span}")
        where = f" ({', '.join(place)})" if place else ""
        return f"{self.severity}: {self.message}{where} [{self.rule}]"


class Findings:
    """Collects findings: the first of each severity, and how many there are."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.counts: Counter[Severity] = Counter()

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        self.counts[finding.severity] += 1
        if self.counts[finding.severity] <= FINDINGS_MAX:
            self.kept.append(finding)

    def join(self, later: Findings) -> None:
        """Append the findings of a part that was checked separately."""
        for severity in later.counts:
            room = max(0, FINDINGS_MAX - self.counts[severity])
            self.kept += [one for one in later.kept if one.severity == severity][:room]
        self.counts += later.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Caveat:
    """One fact that could not be proven. code: stable. unmet: whether the caller required it."""

    code: str
    message: str
    unmet: bool = False

    def as_value(self) -> dict[str, JSONValue]:
        """Return the caveat for JSON."""
        return {"code": self.code, "message": self.message, "unmet": self.unmet}


def verdict(*, is_wrong: bool, caveats: Iterable[Caveat]) -> Status:
    """Return the overall status of a verification."""
    if is_wrong:
        return "invalid"
    left = [one.unmet for one in caveats]
    return "unmet" if any(left) else "valid_but" if left else "valid"


class Outside(NamedTuple):
    """A reference to an entry of another log, by that log's origin. leaf: its leaf hash, hex."""

    log: str
    entry: int
    leaf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """An intent without an end in this log. deadline: Unix milliseconds, as recorded."""

    index: int
    action: str
    deadline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a log can be relied on.

    size: entries present; signed, witnessed: of these, those under a valid checkpoint, and under one with the policy's
    quorum. kept: size that the caller's stored notes prove, -1 without; since: Unix milliseconds from which on the
    caller requires a cosignature, 0 without. witnessed_at: when the quorum was reached, likewise, 0 if no cosigner
    stated a time. cosigners: key names. key_given: whether the key or policy came from the caller, not with the log.
    lacks_tiles: whether the log once had a public part. lacks_history: whether the checkpoints before the newest are
    missing.
    """

    size: int
    signed: int
    witnessed: int
    witnessed_at: int
    cosigners: tuple[str, ...]
    kept: int
    since: int
    key_given: bool
    policy_given: bool
    is_torn: bool
    is_public_part: bool
    lacks_tiles: bool
    lacks_history: bool
    references_elsewhere: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """The result of verifying a log.

    root: hex, of the largest valid checkpoint. findings and open_intents may be cut; errors, warnings and
    open_intents_total count all. entries_by_tag: by tag number. references: to other logs, each with the first entry
    that makes it.
    """

    origin: str
    key: str
    standing: Standing
    checkpoints: int
    root: str
    errors: int
    warnings: int
    findings: tuple[Finding, ...]
    caveats: tuple[Caveat, ...]
    open_intents: tuple[OpenIntent, ...]
    open_intents_total: int
    entries_by_tag: dict[int, int]
    references: tuple[tuple[Outside, int], ...] = ()

    @property
    def status(self) -> Status:
        """The verdict."""
        return verdict(is_wrong=self.errors > 0, caveats=self.caveats)

    @property
    def size(self) -> int:
        """Entries read."""
        return self.standing.size

    @property
    def signed(self) -> int:
        """Entries under a valid checkpoint."""
        return self.standing.signed

    @property
    def key_given(self) -> bool:
        """Whether the key came from the caller, not with the log."""
        return self.standing.key_given

    @property
    def newer_since(self) -> int:
        """The time from which on newer entries may exist, Unix milliseconds: an older copy of a log is a valid log. 0
        if the caller knew how far the log must reach, or a caveat says so already."""
        standing = self.standing
        return (
            standing.witnessed_at
            if self.status == "valid" and standing.kept < 0 and not standing.since
            else 0
        )

    def as_value(self) -> dict[str, JSONValue]:
        """Return the report for `--json`, as one object with JSON types only."""
        standing = self.standing
        return {
            "caveats": [one.as_value() for one in self.caveats],
            "checkpoints": self.checkpoints,
            "cosigners": list(standing.cosigners),
            "entries": standing.size,
            "entries_by_tag": {str(tag): count for tag, count in sorted(self.entries_by_tag.items())},
            "errors": self.errors,
            "findings": [one.as_value() for one in self.findings],
            "key": self.key,
            "key_given": standing.key_given,
            "newer_since": self.newer_since or None,
            "kept": None if standing.kept < 0 else standing.kept,
            "open_intents": [
                {"action": one.action, "deadline": one.deadline, "entry": one.index}
                for one in self.open_intents
            ],
            "open_intents_total": self.open_intents_total,
            "origin": self.origin,
            "policy_given": standing.policy_given,
            "public_part": standing.is_public_part,
            "root": self.root,
            "signed": standing.signed,
            "status": self.status,
            "warnings": self.warnings,
            "witnessed": standing.witnessed,
            "witnessed_at": standing.witnessed_at or None,
        }

    def as_lines(self) -> list[str]:
        """Return the report as plain lines for the terminal."""
        standing = self.standing
        lines = [
            f"log {self.origin or 'of unknown name'}",
            f"{self.size} entries, {self.signed} of them signed over by {self.checkpoints} checkpoints",
        ]
        if self.root:
            lines.append(f"root of the newest checkpoint: {self.root}")
        if standing.witnessed:
            when = f" as of {instant(standing.witnessed_at)}" if standing.witnessed_at else ""
            lines.append(f"{standing.witnessed} entries witnessed{when} by {', '.join(standing.cosigners)}")
        lines.append(_STATUS_LINES[self.status] if not self.newer_since else _newer_line(self.newer_since))
        lines += [f"  {one.message}" for one in self.caveats]
        lines += told_findings(self.findings)
        hidden = self.errors + self.warnings - sum(one.severity != "note" for one in self.findings)
        if hidden > 0:
            lines.append(f"  and {hidden} findings more")
        lines += [
            f"  open: the action {one.action} of entry {one.index} has no recorded end"
            for one in self.open_intents
        ]
        if self.open_intents_total > len(self.open_intents):
            lines.append(f"  and {self.open_intents_total - len(self.open_intents)} open actions more")
        return lines


def _newer_line(since: int) -> str:
    return (
        f"valid: every entry is in order, signed and witnessed; newer entries may exist since {instant(since)}, for a "
        "copy does not say when it was taken: --since TIME asks for later ones, --kept FILE for those that you know of"
    )


def told_findings(findings: Iterable[Finding]) -> list[str]:
    """Return the findings as plain lines: for each kind of error the first and the count of the rest, since one changed
    byte can cause hundreds. Errors that locate changed bytes come first."""
    kinds: dict[str, list[Finding]] = {}
    rest: list[str] = []
    for one in findings:
        if one.severity == "error":
            kinds.setdefault(one.rule, []).append(one)
        else:
            rest.append(f"  {one.as_line()}")
    lines = []
    for first, *more in sorted(kinds.values(), key=lambda kind: not kind[0].rule.endswith(".damaged")):
        lines.append(f"  {first.as_line()}")
        if more:
            lines.append(f"    and {len(more)} more of this kind: --json lists them")
    return lines + rest


def instant(milliseconds: int) -> str:
    """Format a time as RFC 3339 in UTC, or as the number itself if it is out of range."""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
