"""`answerable streams`: the receivers of revocation events and webhooks, and the delivery state of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.cli.command import Shell, command

if TYPE_CHECKING:
    import typer

    from answerable.api.event_answers import EventStream


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "streams", reads=True)(streams)


def streams(shell: Shell) -> int | None:
    """Receivers of events and webhooks: what waits for each, what it was not sent, and when it is tried again."""
    from answerable.client import event_calls

    with shell.control() as control:
        items = list(event_calls.list_event_streams(control))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("receiver", "by", "status", "waiting", "left out", "refused", "why"),
        [
            (
                one.receiver,
                one.method,
                one.status if one.heard else "not heard",
                one.waiting,
                one.left_out,
                one.refused,
                _why(one),
            )
            for one in items
        ],
        empty="no receiver is configured: see `announcing` in the settings",
    )
    return None


def _why(one: EventStream) -> str:
    """Return what is noteworthy about a receiver, empty if nothing."""
    tried = f"tried {one.attempts} times, again at {one.next_at}" if one.next_at else ""
    return "; ".join(text for text in (one.reason, tried) if text)
