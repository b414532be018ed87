"""Represent the result of verifying an evidence bundle, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.ledger.tags import Tag
from answerable.verify.report import instant, told_findings, verdict

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.verify.report import Caveat, Finding, Status

NOT_WITNESSED: Final = "not_witnessed"
_STATUS_LINES: Final[dict[str, str]] = {
    "valid": "valid: these entries are in the log, witnessed, and what is shown of them is what was recorded",
    "valid_but": "valid, but some things cannot be excluded without a policy of your own or a witness:",
    "unmet": "NOT MET: what is shown is what was recorded, and what was asked for is not here:",
    "invalid": "INVALID: this is not evidence of what it shows",
}
_NAMES: Final = {int(tag): tag.name.lower() for tag in Tag}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """An entry of the bundle. at: the writer's claim, Unix milliseconds. shown: JSON text of the disclosed fields, by
    name. hidden: number of undisclosed fields."""

    index: int
    tag: int
    at: int
    leaf: str
    leaf_hash: str
    shown: tuple[tuple[str, str], ...]
    hidden: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """The result of verifying a bundle.

    size: of the log under the checkpoint. witnessed_at: Unix milliseconds, 0 if no witness states a time. entries: the
    disclosed entries; nothing in them is proven if the status is `invalid`. signed: answers of people with a valid
    signature. attributed: answers that nobody signed, such as clicks in a chat.
    """

    origin: str
    size: int
    root: str
    witnessed_at: int
    cosigners: tuple[str, ...]
    policy_given: bool
    findings: tuple[Finding, ...]
    caveats: tuple[Caveat, ...]
    entries: tuple[ShownEntry, ...]
    signed: int = 0
    attributed: int = 0

    @property
    def status(self) -> Status:
        """The verdict."""
        return verdict(is_wrong=any(one.severity == "error" for one in self.findings), caveats=self.caveats)

    @property
    def is_witnessed(self) -> bool:
        """Whether the policy's quorum has cosigned; without a given policy, the bundle's own counts."""
        return all(one.code != NOT_WITNESSED for one in self.caveats)

    def as_value(self) -> dict[str, JSONValue]:
        """Return the report for `--json`, as one object with JSON types only."""
        return {
            "answers": {"attributed": self.attributed, "signed": self.signed},
            "caveats": [one.as_value() for one in self.caveats],
            "cosigners": list(self.cosigners),
            "entries": [
                {
                    "at": one.at,
                    "hidden": one.hidden,
                    "index": one.index,
                    "leaf": json.loads(one.leaf, parse_constant=str),
                    "leaf_hash": one.leaf_hash,
                    "shown": {name: _value(text) for name, text in one.shown},
                    "tag": one.tag,
                }
                for one in self.entries
            ],
            "findings": [one.as_value() for one in self.findings],
            "origin": self.origin,
            "policy_given": self.policy_given,
            "root": self.root,
            "size": self.size,
            "status": self.status,
            "witnessed_at": self.witnessed_at or None,
        }

    def as_lines(self) -> list[str]:
        """Return the report as plain lines for the terminal."""
        lines = [f"log {self.origin or 'of unknown name'}"]
        if self.root:
            lines.append(f"{len(self.entries)} of its {self.size} entries, under the root {self.root}")
        if self.cosigners:
            when = f" as of {instant(self.witnessed_at)}" if self.witnessed_at else ""
            lines.append(f"witnessed{when} by {', '.join(self.cosigners)}")
        lines.append(_STATUS_LINES[self.status])
        if self.signed or self.attributed:
            lines.append(
                f"answers of people: {self.signed} signed, {self.attributed} attributed and not signed"
            )
        lines += [f"  {one.message}" for one in self.caveats]
        lines += told_findings(self.findings)
        if self.status == "invalid":
            return lines
        for entry in self.entries:
            kind = _NAMES.get(entry.tag, f"of kind {entry.tag}")
            hidden = f", {entry.hidden} fields not shown" if entry.hidden else ""
            lines.append(f"entry {entry.index}: {kind}, {instant(entry.at)}{hidden}")
            lines.append(f"  {entry.leaf}")
            lines += [f"  {name} = {text}" for name, text in entry.shown]
        return lines


def _value(text: str) -> JSONValue:
    """Return a field's value, or its JSON text if Python cannot read it, such as a number with too many digits."""
    try:
        value: JSONValue = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text
    return value
