"""`answerable policy suggest`: suggest standing rules from past approvals, with what each would change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.policy_questions import show_questions, waits_by_tier
from answerable.apps.cli.policy_simulation import millis_back, simulated

if TYPE_CHECKING:
    from answerable.apps.cli.control import Control

Since = Annotated[str, typer.Option("--since", help="Period, such as 30d; or `all`.", metavar="TIME")]
ApprovedMin = Annotated[
    int, typer.Option("--approved-min", min=2, help="Least number of alike questions, all approved.")
]
Days = Annotated[int, typer.Option("--days", min=1, max=90, help="Days until the rule expires.")]
Save = Annotated[
    Path | None,
    typer.Option(
        "--save",
        help="Write each suggestion as a document to this directory.",
        show_default=False,
        metavar="DIR",
    ),
]


def register(group: typer.Typer) -> None:
    """Add the verb to the noun `policy`."""
    command(group, "suggest", reads=True)(suggest)


def suggest(
    shell: Shell, since: Since = "30d", approved_min: ApprovedMin = 40, days: Days = 90, save: Save = None
) -> int | None:
    """Suggest rules that are narrower than what people approved again and again.

    Each with its evidence and what it would have changed. Nothing comes into force: `answerable policy propose` the
    document, and somebody else publishes it.
    """
    from answerable.client import suggestion_calls

    with shell.control() as control:
        answer = suggestion_calls.list_suggestions(
            control, since=str(millis_back(since)), approved_min=str(approved_min), days=str(days)
        )
        # Rules get a member here that the answer does not have.
        found: dict[str, Any] = to_builtins(answer)
        for one in found["rules"]:
            if one["document"] is not None:
                one["simulation"] = _simulation(shell, control, one["document"], since)
    saved = _saved(found["rules"], save) if save is not None else []
    if shell.terminal.as_json:
        shell.terminal.json({**found, "saved": saved})
        return None
    for one in found["rules"]:
        _show(shell, one)
    if not found["rules"]:
        shell.terminal.say(f"no question was asked {approved_min} times for one agent, capability and rule")
    if found["entries"] < found["size"]:
        shell.terminal.warn(f"{found['entries']} of {found['size']} entries are read so far; try again later")
    for place in saved:
        shell.terminal.say(f"written to {place}: review it, then `answerable policy propose {place}`")
    return None


def _simulation(shell: Shell, control: Control, document: dict[str, Any], since: str) -> dict[str, Any]:
    from answerable.api.policy_trial_answers import SimulationRequest

    found = simulated(shell, control, SimulationRequest(documents=(document,), removed=()), since)
    found["questions"]["wait_ms"] = waits_by_tier(control, millis_back(since))
    names = ("asked", "same", "changed", "changes", "untold", "partial", "questions")
    return {name: found[name] for name in names}


def _saved(rules: list[dict[str, Any]], directory: Path) -> list[str]:
    import yaml

    directory.mkdir(parents=True, exist_ok=True)
    places = []
    for number, one in enumerate(rules, 1):
        if one["document"] is not None:
            place = directory / f"suggested-{number}.yaml"
            place.write_text(yaml.safe_dump(one["document"], sort_keys=False))
            places.append(str(place))
    return places


def _show(shell: Shell, one: dict[str, Any]) -> None:
    terminal = shell.terminal
    terminal.heading(f"{one['rule']}: {one['agent']} and {one['capability']}")
    if one["document"] is None:
        terminal.line(f"  not suggested: {one['why_not']}")
        return
    entries = ", ".join(str(index) for index in one["entries"][:8])
    terminal.record(
        [
            ("  evidence", f"{one['approved']} approved by {one['people']} people, entries {entries} …"),
            ("  until", one["until"]),
            ("  look at", one["notes"]),
        ]
    )
    terminal.line("  the rule would not ask if:")
    for line in one["condition"].splitlines():
        terminal.line(f"    {line.strip()}")
    show_questions(shell, one["simulation"]["questions"])
    changes = ", ".join(f"{count} {how}" for how, count in one["simulation"]["changes"].items())
    terminal.line(f"  of {one['simulation']['asked']} decisions would change: {changes or 'none'}")
