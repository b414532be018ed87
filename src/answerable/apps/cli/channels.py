"""Notification channels that reach approvers: list them, send a test message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import UNSET

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import CHECK_FAILED

if TYPE_CHECKING:
    from answerable.api.channel_answers import Told

Name = Annotated[str, typer.Argument(help="Name of the channel, such as email.", metavar="CHANNEL")]
To = Annotated[
    str,
    typer.Option(
        "--to",
        help="Registered name of the recipient; not for a webhook or a chat channel.",
        metavar="PERSON",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the noun `channel`."""
    group = typer.Typer(
        no_args_is_help=True, help="Channels: how people are notified that an action waits for them."
    )
    command(group, "list", reads=True)(list_channels)
    command(group, "test", reads=True, example="channel test email --to bob")(send_test)
    app.add_typer(group, name="channel")


def list_channels(shell: Shell) -> int | None:
    """Every configured channel, and whether it works.

    Exit code 5 when one of them is down.
    """
    from answerable.client import channel_calls

    with shell.control() as control:
        items = list(channel_calls.list_channels(control))
    down = None if all(one.up for one in items) else CHECK_FAILED
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return down
    shell.terminal.table(
        ("channel", "state", "tells", "sent", "waiting", "missed"),
        [
            (
                one.name,
                "up" if one.up else f"DOWN: {one.error}",
                ", ".join(one.routes),
                str(one.sent),
                str(one.waiting),
                str(one.missed + one.left_out),
            )
            for one in items
        ],
        empty="no notification is sent: set `channels.routes`, see docs/how-to/reach-approvers.md",
    )
    return down


def send_test(shell: Shell, channel: Name, to: To = "") -> int | None:
    """Send a test message now.

    Exit code 5 if the channel did not accept it.
    """
    from answerable.api.channel_answers import ChannelTest
    from answerable.client import channel_calls

    with shell.control() as control:
        answer = channel_calls.test_channel(control, channel, ChannelTest(person=to or UNSET))
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    elif answer.state == "taken":
        shell.terminal.say(f"{channel} accepted it: check that it arrived")
    else:
        shell.terminal.warn(f"{channel} did not accept it ({answer.state}): {answer.why}")
    return None if answer.state == "taken" else CHECK_FAILED


def told_line(one: Told) -> str:
    """Return one receiver of messages about an approval as a human-readable line."""
    who = f"{one.to} on {one.channel}"
    if one.missed:
        return f"{who}: never ({one.error})"
    if one.told == "nothing":
        return f"{who}: not yet" + (f" ({one.error}, {one.attempts} tries)" if one.error else "")
    return f"{who}: {one.told} at {one.at}" + (f" ({one.error})" if one.error else "")
