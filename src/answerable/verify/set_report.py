"""Represent the result of verifying a set of logs: a report on each, the faults between them, and one verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from answerable.verify.report import Status, told_findings, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.canonical import JSONValue
    from answerable.verify.report import Caveat, Finding, LedgerReport

_VERDICTS: Final[dict[Status, str]] = {
    "valid": "the whole set is valid, and nothing is left open",
    "valid_but": "the whole set is valid, but for what is said above",
    "unmet": "NOT MET: what is here is in order, and what was asked for is not here",
    "invalid": "INVALID: {logs}",
}

_NEWER: Final = "the whole set is valid, and newer entries may exist, as is said above"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSetReport:
    """The result of verifying a set of logs. heads: on the log of logs, None if it is missing. shards: by name.
    findings, caveats: about the set; findings may be cut, errors and warnings count all."""

    heads: LedgerReport | None
    shards: dict[str, LedgerReport]
    findings: tuple[Finding, ...]
    errors: int
    warnings: int
    caveats: tuple[Caveat, ...]

    @property
    def logs(self) -> dict[str, LedgerReport]:
        """Every log's report, by its path in the directory."""
        heads = {"heads": self.heads} if self.heads is not None else {}
        return {**heads, **{f"shards/{name}": report for name, report in self.shards.items()}}

    @property
    def status(self) -> Status:
        """The verdict on the whole set."""
        statuses = {report.status for report in self.logs.values()}
        own = verdict(is_wrong=self.errors > 0, caveats=self.caveats)
        return max(statuses | {own}, key=get_args(Status).index)

    @property
    def size(self) -> int:
        """Entries read, in all logs."""
        return sum(report.size for report in self.logs.values())

    def as_value(self) -> dict[str, JSONValue]:
        """Return the report for `--json`, as one object with JSON types only."""
        return {
            "caveats": [one.as_value() for one in self.caveats],
            "entries": self.size,
            "errors": self.errors,
            "findings": [one.as_value() for one in self.findings],
            "logs": {place: report.as_value() for place, report in self.logs.items()},
            "status": self.status,
            "warnings": self.warnings,
        }

    def as_lines(self) -> list[str]:
        """Return the report as plain lines for the terminal."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        for place, report in self.logs.items():
            first, *rest = report.as_lines()
            yield f"{place}: {first}"
            yield from (f"  {line}" for line in rest)
        yield f"all of them: {self.size} entries in {len(self.logs)} logs"
        yield from (f"  {one.message}" for one in self.caveats)
        yield from told_findings(self.findings)
        hidden = self.errors + self.warnings - sum(one.severity != "note" for one in self.findings)
        if hidden > 0:
            yield f"  and {hidden} findings more"
        wrong = [place for place, report in self.logs.items() if report.status == "invalid"]
        named = ", ".join(wrong) or "references between the logs do not match"
        verdict_line = _VERDICTS[self.status].format(logs=named)
        newer = any(report.newer_since for report in self.logs.values())
        yield verdict_line if not newer or self.status != "valid" else _NEWER
