"""Print what applying registry documents changes, and what to look at afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from answerable.api.registry_answers import Applied, InactiveDocument, UndrilledTier
    from answerable.apps.cli.command import Shell

SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
SIGN_STYLES: Final = {"added": "green", "removed": "red", "changed": "yellow"}
_VOID_SHOWN_MAX: Final = 5


def show_applied(shell: Shell, applied: Applied, *, done: bool) -> None:
    """Print the changes and what to look at. done: they are in force, and not only planned."""
    if shell.terminal.as_json:
        shell.terminal.json(applied)
        return
    for change in applied.changes:
        how = change.how
        shell.terminal.line(f"{SIGNS[how]} {change.kind}/{change.name}", SIGN_STYLES[how])
    count = len(applied.changes)
    told = f"{count} {'change' if count == 1 else 'changes'}" if count else "no changes"
    shell.terminal.say(told if done or not count else f"{told}; a dry run, so nothing was changed")
    warn_inactive(shell, applied.inactive)
    added = {(change.kind.lower(), change.name) for change in applied.changes if change.how == "added"}
    _warn_undrilled(shell, [one for one in applied.undrilled if (one.kind.lower(), one.name) not in added])
    _warn_void(shell, applied.void)


def _warn_void(shell: Shell, void: Sequence[str]) -> None:
    """Warn about policies that are probably not what their authors mean, as `policy check` does."""
    for one in void[:_VOID_SHOWN_MAX]:
        shell.terminal.warn(one)
    if len(void) > _VOID_SHOWN_MAX:
        shell.terminal.warn(
            f"and {len(void) - _VOID_SHOWN_MAX} policies more: `answerable policy check` lists all"
        )


def _warn_undrilled(shell: Shell, raises: list[UndrilledTier]) -> None:
    """Warn in one line about earlier documents that were raised without drills; new ones could not be drilled yet."""
    if raises:
        one = raises[0]
        told = " and ".join(f"`{line}`" for line in one.commands)
        more = f", and {len(raises) - 1} more (`--json` names them)" if len(raises) > 1 else ""
        shell.terminal.warn(
            f"raised without drills: {one.kind} {one.name} from tier {one.from_} to {one.to}{more}: "
            f"run {told}"
        )


def warn_inactive(shell: Shell, resting: Iterable[InactiveDocument]) -> None:
    """Warn about documents that are not active yet."""
    for one in resting:
        shell.terminal.warn(f"not active: {one.kind}/{one.name}: {'; '.join(one.reasons)}")
