"""`answerable policy simulate`: what a candidate policy set would have decided. An interrupted run gives partial
results."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from msgspec import UNSET, structs

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.policy_questions import (
    add_questions,
    no_questions,
    show_questions,
    tiers_given,
    waits_by_tier,
)
from answerable.apps.cli.policy_sources import Removed, Sources, check_given, gathered
from answerable.errors import shown
from answerable.errors.codes.services import CLI_SINCE

if TYPE_CHECKING:
    from answerable.api.policy_trial_answers import SimulationPage, SimulationRequest
    from answerable.apps.cli.control import Control

Since = Annotated[
    str, typer.Option("--since", help="Period, such as 90m, 24h, 7d; or `all`.", metavar="TIME")
]
Tier = Annotated[
    list[str] | None,
    typer.Option("--tier", help="Assume that this capability has this tier, 0 to 3.", metavar="CAPABILITY=N"),
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="How many changes to list; --json lists all.")]

KEPT_MAX: Final = 100_000
"""Differences listed in --json; further ones are only counted."""
REASONS_SHOWN_MAX: Final = 20
"""Reasons why something cannot be told that are listed; further ones are counted together, and --json has them."""
_ALL: Final = "all"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SINCE: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_COUNTED: Final = ("changes", "by_policy", "untold", "unasked")
_UNASKED: Final = {
    "erased": "erased",
    "hidden": "contained a credential, which is not stored",
    "not_kept": "too long to be stored",
    "not_asked": "refused before any policy was evaluated",
    "unreadable": "cannot be read",
}


def register(group: typer.Typer) -> None:
    """Add the verb to the noun `policy`."""
    command(group, "simulate", reads=True)(simulate)


def simulate(
    shell: Shell,
    sources: Sources = None,
    remove: Removed = None,
    since: Since = "7d",
    limit: Limit = 20,
    tier: Tier = None,
) -> int | None:
    """Decide again what is in the ledger, with other policy sets or tiers.

    Says what would change, listed and counted, how many more or fewer questions people would be asked, and of what it
    cannot tell why. Ctrl-C gives what was found so far.
    """
    from answerable.api.policy_trial_answers import SimulationRequest

    check_given(sources, remove, tier)
    with shell.control() as control:
        documents, _ = gathered(control, sources or [])
        candidate = SimulationRequest(
            documents=tuple(documents),
            removed=tuple(remove or ()),
            tiers=tiers_given(tier) if tier else UNSET,
        )
        found = simulated(shell, control, candidate, since)
        found["questions"]["wait_ms"] = waits_by_tier(control, millis_back(since))
    if shell.terminal.as_json:
        shell.terminal.json(found)
    else:
        _show(shell, found, limit)
    return None


def simulated(shell: Shell, control: Control, candidate: SimulationRequest, since: str) -> dict[str, Any]:
    """Run the simulation and add up all pages; `partial` is true when the user interrupted it.

    candidate: the documents, and the names to remove.
    """
    from answerable.client import policy_trial_calls

    total: dict[str, Any] = {
        "since": since,
        "partial": False,
        "entries": 0,
        "asked": 0,
        "same": 0,
        "changed": 0,
    }
    total |= {name: {} for name in _COUNTED} | {"policy_set": "", "unlisted": 0, "differences": []}
    total["questions"] = no_questions()
    asked = structs.replace(candidate, since=str(millis_back(since)))
    progress = _Progress(shell)
    logs = [""]
    try:
        for log in logs:
            # Each shard has a log of its own.
            asked = structs.replace(asked, log=log or UNSET, start=UNSET)
            progress.begin()
            while (page := policy_trial_calls.simulate_policy(control, asked)).more:
                _add(total, page)
                progress.tell(page, total)
                asked = structs.replace(asked, start=str(page.end))
            _add(total, page)
            progress.tell(page, total)
            logs += page.others
    except KeyboardInterrupt:
        total["partial"] = True
    progress.end()
    return total


def _add(total: dict[str, Any], page: SimulationPage) -> None:
    total["policy_set"] = page.policy_set
    total["entries"] += page.end - page.start
    total["asked"] += page.asked
    total["same"] += page.same
    total["changed"] = total["asked"] - total["same"]
    add_questions(total["questions"], page.questions)
    counted = (page.changes, page.by_policy, page.untold, page.unasked)
    for name, counts in zip(_COUNTED, counted, strict=True):
        for key, count in counts.items():
            total[name][key] = total[name].get(key, 0) + count
    room = KEPT_MAX - len(total["differences"])
    total["differences"] += page.differences[:room]
    total["unlisted"] += max(0, len(page.differences) - room)


class _Progress:
    """One progress line on standard error, overwritten at each step; only on a terminal."""

    def __init__(self, shell: Shell) -> None:
        self._wanted = sys.stderr.isatty() and not shell.terminal.as_json
        self._first: int | None = None

    def begin(self) -> None:
        self._first = None

    def tell(self, page: SimulationPage, total: dict[str, Any]) -> None:
        if not self._wanted:
            return
        self._first = page.start if self._first is None else self._first
        whole = max(1, page.size - self._first)
        share = (page.end - self._first) * 100 // whole
        sys.stderr.write(f"\r{share:3d} % of {whole} entries, {total['changed']} changes")
        sys.stderr.flush()

    def end(self) -> None:
        if self._wanted and self._first is not None:
            sys.stderr.write("\n")


def millis_back(since: str) -> int:
    """Return the Unix milliseconds of so long ago; 0 for `all`. Raises Malformed (`cli.since`)."""
    if since == _ALL:
        return 0
    found = _SINCE.fullmatch(since)
    if found is None:
        raise CLI_SINCE(f"{shown(since)} is not a duration such as `90m`, `24h` or `7d`")
    return max(0, time.time_ns() // 1_000_000 - int(found[1]) * _SECONDS[found[2]] * 1000)


def period(since: str) -> str:
    """Return the period in words."""
    return "in the whole ledger" if since == _ALL else f"in the last {since}"


def show_changes(shell: Shell, found: dict[str, Any], limit: int | None = None) -> None:
    """Show the changes, listed up to a limit and counted."""
    rows = [
        (
            f"{one.shard}/{one.index}" if one.shard else one.index,
            one.at,
            one.agent,
            one.capability,
            f"{one.was}→{one.now}",
            ", ".join(one.by),
            one.reason,
        )
        for one in found["differences"][:limit]
    ]
    if rows:
        shell.terminal.table(("entry", "at", "agent", "action", "change", "by", "reason"), rows, empty="")
    more = found["changed"] - len(rows)
    if more > 0:
        shell.terminal.say(f"and {more} more; --json lists all")
    counted = [(how, count) for how, count in sorted(found["changes"].items())]
    counted += [(f"by {name}", count) for name, count in sorted(found["by_policy"].items())]
    untold = sorted(found["untold"].items())
    counted += [(f"cannot tell: {why}", count) for why, count in untold[:REASONS_SHOWN_MAX]]
    if rest := untold[REASONS_SHOWN_MAX:]:
        counted.append((f"cannot tell, for {len(rest)} other reasons", sum(count for _, count in rest)))
    counted += [
        (f"not asked: {_UNASKED.get(why, why)}", count) for why, count in sorted(found["unasked"].items())
    ]
    if counted:
        shell.terminal.table(("what", "decisions"), counted, empty="")


def _show(shell: Shell, found: dict[str, Any], limit: int) -> None:
    show_changes(shell, found, limit)
    show_questions(shell, found["questions"])
    told = f"{found['changed']} of {found['asked']} decisions {period(found['since'])} would be different"
    if found["partial"]:
        shell.terminal.warn(f"interrupted after {found['entries']} entries, so this is incomplete: {told}")
    else:
        shell.terminal.say(told)
