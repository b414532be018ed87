"""Report how many more or fewer approvals people would be asked for, as part of `answerable policy simulate`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from answerable.errors import AnswerableError, shown
from answerable.errors.codes.services import CLI_TIER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from answerable.api.policy_trial_answers import QuestionCounts
    from answerable.apps.cli.command import Shell
    from answerable.apps.cli.control import Control

SIDES: Final = ("before", "after")
KINDS: Final = ("tiers", "rules", "groups")
TIERS: Final = ("0", "1", "2", "3")
NO_DATA: Final = "no data"
_DAY_SECONDS: Final = 86_400
_MINUTE_MS: Final = 60_000


def tiers_given(given: Iterable[str]) -> dict[str, str]:
    """Parse tiers by capability. Raises Malformed (`cli.tier`)."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, tier = one.partition("=")
        if not name or not equals or tier not in TIERS:
            raise CLI_TIER(f"{shown(one)} is not of the form `capability=2`")
        found[name] = tier
    return found


def no_questions() -> dict[str, Any]:
    """Return an empty total, to which pages are added."""
    sides: dict[str, Any] = {side: {"count": 0, **{kind: {} for kind in KINDS}} for side in SIDES}
    return {**sides, "tasks": 0, "first_at": None, "last_at": None}


def add_questions(total: dict[str, Any], page: QuestionCounts) -> None:
    """Add one page to the total."""
    for side, asked in zip(SIDES, (page.before, page.after), strict=True):
        total[side]["count"] += asked.count
        for kind, counts in zip(KINDS, (asked.tiers, asked.rules, asked.groups), strict=True):
            for name, count in counts.items():
                total[side][kind][name] = total[side][kind].get(name, 0) + count
    total["tasks"] += page.tasks
    total["first_at"] = total["first_at"] or page.first_at
    total["last_at"] = page.last_at or total["last_at"]


def waits_by_tier(control: Control, since: int) -> dict[str, int]:
    """Return the median wait of the questions of each tier, in ms; tiers without data are left out.

    since: Unix milliseconds.
    """
    from answerable.client import oversight_calls

    try:
        told = oversight_calls.show_oversight(control, since=str(since))
    except AnswerableError:
        return {}
    return {one.tier: one.wait_ms.p50 for one in told.tiers if one.wait_ms}


def show_questions(shell: Shell, found: dict[str, Any]) -> None:
    """Show how many questions people were asked and would be asked: by tier, rule and group, and in all."""
    before, after = found["before"], found["after"]
    if not before["count"] and not after["count"]:
        shell.terminal.say("people were asked no question, and would be asked none")
        return
    rows: list[tuple[object, ...]] = []
    for kind in KINDS:
        for name in sorted(before[kind].keys() | after[kind].keys()):
            was, now = before[kind].get(name, 0), after[kind].get(name, 0)
            rows.append((f"{kind[:-1]} {name or 'not said'}", was, now, f"{now - was:+d}"))
    rows += list(_in_all(found))
    shell.terminal.table(("questions", "before", "after", "change"), rows, empty="")


def _in_all(found: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    was, now = (found[side]["count"] for side in SIDES)
    yield "all", was, now, f"{now - was:+d}"
    tasks = found["tasks"]
    per_task = [f"{one / tasks:.2f}" if tasks else NO_DATA for one in (was, now)]
    yield "per task", *per_task, f"{(now - was) / tasks:+.2f}" if tasks else NO_DATA
    days = _days(found)
    per_day = [f"{one / days:.1f}" if days else NO_DATA for one in (was, now)]
    yield "per day", *per_day, f"{(now - was) / days:+.1f}" if days else NO_DATA
    waits = [_minutes(found["wait_ms"], found[side]["tiers"]) for side in SIDES]
    told = [NO_DATA if one is None else f"{one:.1f} min" for one in waits]
    gap = NO_DATA if waits[0] is None or waits[1] is None else f"{waits[1] - waits[0]:+.1f} min"
    yield "waiting, at the median of each tier", *told, gap


def _minutes(waits: dict[str, int], tiers: dict[str, int]) -> float | None:
    """Return the expected minutes of waiting, or None if a question's tier has no known wait."""
    if any(tier not in waits for tier in tiers):
        return None
    return sum(waits[tier] * count for tier, count in tiers.items()) / _MINUTE_MS


def _days(found: dict[str, Any]) -> float:
    """Return the days from the first decision to the last; 0 if less than a day, for which no daily rate is shown."""
    if not found["first_at"] or not found["last_at"]:
        return 0.0
    first, last = (datetime.fromisoformat(found[name]) for name in ("first_at", "last_at"))
    days = (last - first).total_seconds() / _DAY_SECONDS
    return days if days >= 1 else 0.0
