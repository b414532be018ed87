"""What a verification found, for people and for programs.

`valid` says that nothing is left open. `valid_but` says that all there is checks out and names what this directory
alone cannot show. `invalid` says that something is wrong, and where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue

Severity: TypeAlias = Literal["error", "warning", "note"]
Status: TypeAlias = Literal["valid", "valid_but", "invalid"]

_STATUS_LINES: Final[dict[str, str]] = {
    "valid": "valid: every entry is in order, signed, and nothing is left open",
    "valid_but": "valid, but some things cannot be shown from this copy alone:",
    "invalid": "INVALID: this ledger is not what was written",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """rule: stable code. index: entry. file: relative to the log; start, stop: bytes in it. None: no single place."""

    rule: str
    severity: Severity
    message: str
    index: int | None = None
    file: str | None = None
    start: int | None = None
    stop: int | None = None

    def as_value(self) -> dict[str, JSONValue]:
        """For JSON."""
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
        """For the terminal."""
        place = [] if self.index is None else [f"entry {self.index}"]
        if self.file is not None:
            span = "" if self.start is None else f" bytes {self.start} to {self.stop}"
            place.append(f"{self.file}{span}")
        where = f" ({', '.join(place)})" if place else ""
        return f"{self.severity}: {self.message}{where} [{self.rule}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caveat:
    """One thing that was not and could not be shown. code: stable."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """An intent without an end in this log. deadline: Unix milliseconds, as the entry says."""

    index: int
    action: str
    deadline: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """size: entries read. signed: of these, under a good checkpoint. root: hex, of that checkpoint.

    key_given: the key came from the caller, not with the log. findings and open_intents may be cut; errors, warnings
    and open_intents_total count all. entries_by_tag: by tag number.
    """

    origin: str
    key: str
    key_given: bool
    size: int
    signed: int
    checkpoints: int
    root: str
    errors: int
    warnings: int
    findings: tuple[Finding, ...]
    caveats: tuple[Caveat, ...]
    open_intents: tuple[OpenIntent, ...]
    open_intents_total: int
    entries_by_tag: dict[int, int]

    @property
    def status(self) -> Status:
        """The verdict."""
        if self.errors:
            return "invalid"
        return "valid_but" if self.caveats else "valid"

    def as_value(self) -> dict[str, JSONValue]:
        """For `--json`: one object with only JSON types."""
        return {
            "caveats": [{"code": one.code, "message": one.message} for one in self.caveats],
            "checkpoints": self.checkpoints,
            "entries": self.size,
            "entries_by_tag": {str(tag): count for tag, count in sorted(self.entries_by_tag.items())},
            "errors": self.errors,
            "findings": [one.as_value() for one in self.findings],
            "key": self.key,
            "key_given": self.key_given,
            "open_intents": [
                {"action": one.action, "deadline": one.deadline, "entry": one.index}
                for one in self.open_intents
            ],
            "open_intents_total": self.open_intents_total,
            "origin": self.origin,
            "root": self.root,
            "signed": self.signed,
            "status": self.status,
            "warnings": self.warnings,
        }

    def as_lines(self) -> list[str]:
        """For the terminal, plain."""
        lines = [
            f"log {self.origin or 'of unknown name'}",
            f"{self.size} entries, {self.signed} of them signed over by {self.checkpoints} checkpoints",
        ]
        if self.root:
            lines.append(f"root of the newest checkpoint: {self.root}")
        lines.append(_STATUS_LINES[self.status])
        lines += [f"  {one.message}" for one in self.caveats]
        lines += [f"  {one.as_line()}" for one in self.findings]
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
