"""Ask for the name that a person must type before a critical action runs. `--yes` does not replace it."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.errors import shown
from answerable.errors.codes.services import CLI_MISSING, CLI_NOT_CONFIRMED

if TYPE_CHECKING:
    from answerable.api.approval_answers import Approval as ApprovalShown
    from answerable.apps.cli.command import Shell
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.token import Verdict

Typed = Annotated[
    str,
    typer.Option(
        help="For a critical action: the name of its resource, instead of a prompt for it.",
        metavar="NAME",
    ),
]


def typed_name(
    shell: Shell, answer: ApprovalShown, waiting: Approval, verdict: Verdict, given: str
) -> str | None:
    """Return the typed name, or None if no name is required. waiting: built from `answer` and checked.

    Raises Malformed (`cli.missing`) when there is no terminal, Refused (`cli.not_confirmed`) for another name.
    """
    from answerable.core.approval.typed_name import how_unlike, is_same_name, name_to_type

    if verdict == "deny" or not answer.name_to_type:
        return None
    name = name_to_type(waiting)
    otherwise = f"look at what it acts on, and add --typed {quote(name)}"
    if not given and shell.yes:
        raise CLI_MISSING(f"--yes does not replace the typed name: {otherwise}")
    typed = given or shell.terminal.asked(f"This is critical. Type {name} to let it run", otherwise=otherwise)
    if not is_same_name(name, typed):
        raise CLI_NOT_CONFIRMED(f"that is not {shown(name)}: {how_unlike(name, typed)}; nothing was signed")
    return typed
