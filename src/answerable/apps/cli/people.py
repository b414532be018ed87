"""Console access of people: invite a person, list passkeys, remove one."""

from __future__ import annotations

import sys
from io import StringIO
from typing import Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.ending import ends_authority
from answerable.errors.codes.services import CLI_NOT_CONFIRMED

Person = Annotated[str, typer.Argument(help="Registered name of the person.", metavar="NAME")]
AnyPerson = Annotated[str, typer.Argument(help="Only of this person.", metavar="NAME", show_default=False)]
PasskeyId = Annotated[
    str, typer.Argument(help="Id of the passkey, as `person passkeys` shows it.", metavar="ID")
]


def register(app: typer.Typer) -> None:
    """Add the noun `person`."""
    group = typer.Typer(no_args_is_help=True, help="People: invitations to the console, and passkeys.")
    command(group, "invite", reads=True, example="person invite chen --minutes 60")(invite)
    command(group, "passkeys", reads=True)(passkeys)
    command(group, "remove-passkey", reads=True, asks=True)(remove_passkey)
    app.add_typer(group, name="person")


def invite(
    shell: Shell,
    name: Person,
    minutes: Annotated[
        int, typer.Option("--minutes", help="Lifetime of the invitation.", min=1, max=1_440)
    ] = 15,
) -> int | None:
    """Print an address at which a registered person can add a passkey, once, within minutes.

    The first user of the address is accepted as that person: hand it over in person, or by a channel that you trust.
    """
    from answerable.api.person_answers import InviteRequest
    from answerable.client import person_calls

    with shell.control() as control:
        answer = person_calls.invite_person(control, name, InviteRequest(seconds=minutes * 60))
    if shell.terminal.as_json:
        shell.terminal.json(answer)
        return None
    terminal = shell.terminal
    if answer.url:
        terminal.text(answer.url)
    else:
        terminal.text(answer.code)
        terminal.warn(
            "the console is not running: start it with `answerable up`, and enter the code at /enrol"
        )
    terminal.say(f"for {answer.person}, once, until {answer.expires_at}; it is not shown again")
    if answer.url.startswith("http://localhost"):
        terminal.say("it can be opened on this machine only: phones need `console.origin` with an https name")
    elif answer.url and sys.stderr.isatty():
        for row in qr_code(answer.url).splitlines():
            terminal.say(row)
    return None


def qr_code(address: str) -> str:
    """Return the address as a QR code for a phone's camera (ISO/IEC 18004), two rows of modules per line, light modules
    drawn."""
    import segno

    drawn = StringIO()
    segno.make(address, error="m", micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()


def passkeys(shell: Shell, name: AnyPerson = "") -> int | None:
    """Passkeys in force, oldest first."""
    from answerable.client import person_calls

    with shell.control() as control:
        items = list(person_calls.list_passkeys(control, person=name or None))
    if shell.terminal.as_json:
        shell.terminal.json(items)
        return None
    shell.terminal.table(
        ("id", "person", "label", "copies", "attested", "since"),
        [
            (
                one.id,
                one.person,
                one.label,
                "may be copied" if one.backup_eligible else "stays on its device",
                "yes" if one.attested else "no",
                one.created_at,
            )
            for one in items
        ],
        empty="none yet: `answerable person invite NAME`",
    )
    return None


@ends_authority("the passkey may still count")
def remove_passkey(shell: Shell, id: PasskeyId) -> int | None:
    """Remove a passkey permanently: sessions that it opened end, and its signatures no longer count."""
    from answerable.client import person_calls

    with shell.control() as control:
        if not shell.terminal.confirmed(f"Remove passkey {id} for good?", yes=shell.yes):
            raise CLI_NOT_CONFIRMED("not confirmed: nothing was removed")
        answer = person_calls.remove_passkey(control, id)
    if shell.terminal.as_json:
        shell.terminal.json(answer)
    else:
        shell.terminal.say(f"removed: {answer.label} of {answer.person}")
    return None
