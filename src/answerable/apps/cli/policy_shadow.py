"""`answerable policy shadow`: start, inspect and stop a policy set that is evaluated but not enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from msgspec import structs

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import UNMET
from answerable.apps.cli.policy_simulation import Limit, show_changes
from answerable.apps.cli.policy_sources import Removed, Sources, check_given, gathered

if TYPE_CHECKING:
    from answerable.api.policy_trial_answers import PolicyShadow


def register(group: typer.Typer) -> None:
    """Add the noun below `policy`."""
    shadow = typer.Typer(
        no_args_is_help=True, help="Shadow mode: a policy set that decides every request without effect."
    )
    command(shadow, "start", reads=True)(start)
    command(shadow, "status", reads=True)(status)
    command(shadow, "stop", reads=True)(stop)
    group.add_typer(shadow, name="shadow")


def start(shell: Shell, sources: Sources = None, remove: Removed = None) -> int | None:
    """Run policy sets in shadow mode.

    A running server asks them about everything that is decided from now on, after it was decided.
    """
    from answerable.api.policy_answers import PolicySets
    from answerable.client import policy_trial_calls

    check_given(sources, remove)
    with shell.control() as control:
        documents, _ = gathered(control, sources or [])
        found = policy_trial_calls.start_shadow(
            control, PolicySets(documents=tuple(documents), removed=tuple(remove or ()))
        )
    if shell.terminal.as_json:
        shell.terminal.json(found)
    else:
        shell.terminal.say("shadow mode started: see `answerable policy shadow status`")
    return None


def status(shell: Shell, limit: Limit = 20) -> int | None:
    """What the shadow policy set would have decided differently.

    Counts the decisions of all shards. Exit code 6 when a shard is not counted yet, which is named.
    """
    from answerable.client import policy_trial_calls

    with shell.control() as control:
        found = policy_trial_calls.show_shadow(control)
    return _show(shell, found, limit)


def stop(shell: Shell) -> int | None:
    """End shadow mode, and print its results a last time. Exit code 6 when a shard was not counted, which is named."""
    from answerable.client import policy_trial_calls

    with shell.control() as control:
        found = policy_trial_calls.stop_shadow(control)
    return _show(shell, found, 0)


def _show(shell: Shell, found: PolicyShadow, limit: int) -> int | None:
    code = UNMET if found.not_counted else None
    if shell.terminal.as_json:
        shell.terminal.json(found)
        return code
    latest = found.differences[-limit:] if limit else ()
    changed = found.asked - found.same
    show_changes(shell, {**structs.asdict(found), "differences": latest, "changed": changed})
    behind = f", {found.behind} entries behind" if found.behind else ""
    shell.terminal.say(f"{changed} of {found.asked} decisions since {found.since} would be different{behind}")
    if found.fault:
        shell.terminal.warn(f"it is paused, because it does not fit the registry: {found.fault}")
    if found.not_counted:
        shell.terminal.warn(
            f"without shard {', '.join(found.not_counted)}, whose process has not begun to compare: it does within "
            "seconds where it runs"
        )
    return code
