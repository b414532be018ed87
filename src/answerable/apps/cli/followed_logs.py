"""`answerable log list`: how far the logs of targets that the server follows were read, and what their lines are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED, UNMET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.api.ledger_answers import TargetLog
    from answerable.api.log_answers import FollowedLog

ODD: Final = ("bypass", "forged", "content", "phantom", "ambiguous")
"""Lines that a person must look at."""


def register(app: typer.Typer) -> None:
    """Add the noun `log`."""
    group = typer.Typer(no_args_is_help=True, help="Logs of targets that the server follows.")
    command(group, "list", reads=True)(list_logs)
    app.add_typer(group, name="log")


def list_logs(shell: Shell) -> int | None:
    """Every log that is followed: how far it was read, how late, and what its lines are.

    Exit code 5 when one cannot be read, or shows a bypass, a forged label, another content, a phantom or an ambiguous
    line; else 6 when one is behind, or silent while actions run at its target.
    """
    from answerable.apps.cli.control import running
    from answerable.client import log_calls
    from answerable.errors import Unavailable, shown
    from answerable.errors.codes.attribution import LOG_NO_SERVER
    from answerable.errors.codes.search import SEARCH_OFF

    settings = shell.settings()
    with running(settings, say=shell.terminal.say) as control:
        if control is None:
            raise LOG_NO_SERVER(
                f"no server answers at {shown(settings.control.socket)}, and only a server follows logs: start "
                "`answerable up`, or read a log once with `answerable attribute`"
            )
        try:
            found = log_calls.list_logs(control)
        except Unavailable as failed:
            if failed.code != SEARCH_OFF.id:
                raise
            raise SEARCH_OFF(
                "this server follows no log: the process that answers searches does, so set `search.enabled` and "
                "`logs.follow`, or read a log once with `answerable attribute`"
            ) from None
    if shell.terminal.as_json:
        shell.terminal.json(found)
    else:
        shell.terminal.table(
            ("target", "kind", "state", "last line", "late", "lines", "path"),
            [_row(one) for one in found.items],
            empty="no log is followed: set `logs.follow`, see docs/how-to/follow-a-log.md",
        )
        for one in found.items:
            if one.reason:
                shell.terminal.warn(f"{', '.join(one.targets)}: {one.reason}")
            if one.gaps:
                shell.terminal.warn(f"{', '.join(one.targets)}: lines may have been missed {one.gaps} times")
    return _code(found.items)


def log_told(one: FollowedLog | TargetLog) -> str:
    """Return how a log is, in one line."""
    reason = f", {one.reason}" if one.reason else ""
    return f"{', '.join(one.targets)} ({one.kind}): {_state(one)}{reason}; {_lines(one.lines)}"


def _code(items: tuple[FollowedLog, ...]) -> int | None:
    if any(one.state == "fault" or any(one.lines.get(word) for word in ODD) for one in items):
        return CHECK_FAILED
    return UNMET if any(one.state != "ok" for one in items) else None


def _row(one: FollowedLog) -> tuple[str, ...]:
    return (
        ", ".join(one.targets),
        one.kind,
        _state(one),
        one.last_line_at or "never",
        f"{one.late_seconds} s",
        _lines(one.lines),
        one.path,
    )


def _state(one: FollowedLog | TargetLog) -> str:
    return one.state if one.state in ("ok", "behind") else one.state.upper()


def _lines(lines: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in lines.items() if count) or "none"
