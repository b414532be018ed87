"""Store the figures of `answerable stats` as a baseline, and compare later figures with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from answerable.errors import shown
from answerable.errors.codes.approval import STATS_BASELINE, STATS_EXISTS, STATS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIND: Final = "answerable/stats"
VERSION: Final = 1
BASELINE_BYTES_MAX: Final = 8_388_608


class Quantiles(msgspec.Struct):
    """Median and 95th percentile, in the unit that the member's name states."""

    count: int
    p50: int
    p95: int
    exact: bool


class Decisions(msgspec.Struct):
    """Decision times of one process. A bound is None past the last histogram bucket."""

    count: int
    p50_us_max: int | None
    p95_us_max: int | None
    p99_us_max: int | None

    def told(self) -> str:
        """Return the figures as text."""
        edges = (("p50", self.p50_us_max), ("p95", self.p95_us_max), ("p99", self.p99_us_max))
        said = ", ".join(
            f"{name} ≤ {edge} µs" if edge is not None else f"{name} beyond the last bucket"
            for name, edge in edges
        )
        return f"{said}, of {self.count} since its start"


class GroupStats(msgspec.Struct):
    """The figures of one tier of one use case."""

    tier: str
    use_case: str
    actions: int
    alone: int
    asked: int
    refused: int
    counted: int
    effects: int
    traced: int
    untraced: int
    waiting: int
    wait_ms: Quantiles | None
    trace_us: Quantiles | None


class UseCaseStats(msgspec.Struct):
    """The figures of a use case across its tiers."""

    use_case: str
    tasks: int
    questions: int

    def per_task(self) -> str:
        """Return the number of questions per task."""
        return f"{self.questions / self.tasks:.2f}" if self.tasks else "no data"


class LogStats(msgspec.Struct):
    """The log of one process."""

    origin: str
    entries: int
    size: int | None
    at: str
    unread: bool
    decisions: Decisions | None


class Stats(msgspec.Struct):
    """The part of the control API's answer that this command uses."""

    at: str
    since: str | None
    policy_set: str
    groups: list[GroupStats]
    use_cases: list[UseCaseStats]
    logs: list[LogStats]
    revoked: int
    ended: int
    held: int
    policy_changes: int
    unreadable: int
    contain_ms: Quantiles | None = None
    drills: int = 0
    drills_failed: int = 0
    untimed: int = 0


class _Baseline(msgspec.Struct):
    kind: str
    version: int
    stats: Stats


def stats_of(answer: dict[str, Any]) -> Stats:
    """Parse the answer of the control API."""
    return msgspec.convert(answer, Stats)


def write_baseline(path: Path, answer: dict[str, Any]) -> None:
    """Write a new baseline file. Raises Malformed (`stats.exists`, `stats.file`)."""
    text = json.dumps({"kind": KIND, "version": VERSION, "stats": answer}, indent=1, sort_keys=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise STATS_EXISTS(
            f"{shown(path)} already exists and is not overwritten: name another file"
        ) from None
    except OSError as error:
        raise STATS_FILE(f"{shown(path)} cannot be written: {_reason(error)}") from None


def read_baseline(path: Path) -> Stats:
    """Read a baseline file. Raises Malformed (`stats.file`, `stats.baseline`)."""
    try:
        with path.open("rb") as file:
            content = file.read(BASELINE_BYTES_MAX + 1)
    except OSError as error:
        raise STATS_FILE(f"{shown(path)} cannot be read: {_reason(error)}") from None
    try:
        if len(content) > BASELINE_BYTES_MAX:
            raise ValueError
        found = msgspec.json.decode(content, type=_Baseline)
    except (msgspec.MsgspecError, ValueError):
        found = None
    if found is None or (found.kind, found.version) != (KIND, VERSION):
        raise STATS_BASELINE(
            f"{shown(path)} is not a baseline that `answerable stats --save` of this version wrote"
        )
    return found.stats


def compared(before: Stats, now: Stats) -> list[dict[str, Any]]:
    """Return the rows of a comparison by tier and use case; a side without data is None."""
    then = {(one.tier, one.use_case): one for one in before.groups}
    today = {(one.tier, one.use_case): one for one in now.groups}
    rows = []
    for tier, use_case in sorted(then.keys() | today.keys()):
        sides = [_shares(then.get((tier, use_case))), _shares(today.get((tier, use_case)))]
        for (what, unit, was), (_, _, is_now) in zip(*sides, strict=True):
            if was is not None or is_now is not None:
                rows.append(
                    {
                        "tier": tier,
                        "use_case": use_case,
                        "what": what,
                        "unit": unit,
                        "then": was,
                        "now": is_now,
                    }
                )
    tasks = [{one.use_case: one for one in side.use_cases} for side in (before, now)]
    for use_case in sorted(tasks[0].keys() | tasks[1].keys()):
        was, is_now = (
            one.questions / one.tasks if (one := side.get(use_case)) is not None and one.tasks else None
            for side in tasks
        )
        if was is not None or is_now is not None:
            row = {"tier": "", "use_case": use_case, "what": "questions per task", "unit": ""}
            rows.append({**row, "then": was, "now": is_now})
    return rows


def _shares(group: GroupStats | None) -> Iterator[tuple[str, str, float | None]]:
    waits = group.wait_ms if group is not None else None
    parts = (0, 0, 0) if group is None else (group.alone, group.asked, group.refused + group.counted)
    whole = group.actions if group is not None else 0
    for what, part in zip(("alone", "asked", "refused"), parts, strict=True):
        yield what, "%", part * 100 / whole if whole else None
    yield "wait p50", "ms", waits.p50 if waits else None
    yield "wait p95", "ms", waits.p95 if waits else None


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown fault").lower()
