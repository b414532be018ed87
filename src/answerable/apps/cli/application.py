"""Assemble the command line from its nouns and verbs."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from answerable.apps.cli.command import RootOptions
from answerable.apps.cli.exit_codes import EXIT_CODES
from answerable.apps.cli.version import version_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.apps.cli.control import Offline

NOUNS: Final = {
    "answerable.apps.cli.registry": ("apply", "diff", "validate", "registry", "capability", "server"),
    "answerable.apps.cli.tools": ("tool",),
    "answerable.apps.cli.agent_noun": ("agent",),
    "answerable.apps.cli.trust": ("trust",),
    "answerable.apps.cli.people": ("person",),
    "answerable.apps.cli.mandates": ("mandate",),
    "answerable.apps.cli.holds": ("stop", "hold"),
    "answerable.apps.cli.panic": ("panic",),
    "answerable.apps.cli.drills": ("drill",),
    "answerable.apps.cli.leases": ("lease",),
    "answerable.apps.cli.revocations": ("revoke",),
    "answerable.apps.cli.streams": ("streams",),
    "answerable.apps.cli.stop_rules": ("stop-rule",),
    "answerable.apps.cli.approvals": ("approval",),
    "answerable.apps.cli.duties": ("duty",),
    "answerable.apps.cli.channels": ("channel",),
    "answerable.apps.cli.timeline": ("timeline",),
    "answerable.apps.cli.ledger": ("ledger",),
    "answerable.apps.cli.search": ("search",),
    "answerable.apps.cli.show": ("show",),
    "answerable.apps.cli.scope": ("scope",),
    "answerable.apps.cli.attribution": ("attribute",),
    "answerable.apps.cli.accounts": ("account",),
    "answerable.apps.cli.followed_logs": ("log",),
    "answerable.apps.cli.incidents": ("incident",),
    "answerable.apps.cli.stats": ("stats",),
    "answerable.apps.cli.evidence": ("evidence",),
    "answerable.apps.cli.policy": ("policy",),
    "answerable.apps.cli.decisions": ("why", "could", "can", "decision"),
    "answerable.apps.cli.keys": ("key",),
    "answerable.apps.cli.secrets": ("secret",),
    "answerable.apps.cli.credentials": ("credential",),
    "answerable.apps.cli.checks": ("status", "check-config", "doctor"),
}
"""Modules with the commands and nouns that each registers, in the order of the help page."""
_VALUED: Final = ("--data", "--config")
_FLAGS: Final = ("--quiet", "-q", "--no-color")
"""Options that may come before the noun, with a value and without."""
_EPILOG = "Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


def first_word(line: Sequence[str]) -> str:
    """Return the command or noun that a line begins with, after options that may come before it; else an empty text."""
    rest = iter(line)
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            return word
        elif word not in _FLAGS and word.partition("=")[0] not in _VALUED:
            break
    return ""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_told())
        raise typer.Exit


class _RootOptions:
    """Takes the options that may come before the noun. Typer reads the signature several times for each line, and so
    its annotations are resolved once."""

    def __init__(self, offline: Offline) -> None:
        self.__signature__ = _SIGNATURE
        self.__annotations__ = {}
        self._offline = offline

    def __call__(
        self,
        ctx: typer.Context,
        data: Annotated[
            Path | None,
            typer.Option(
                "--data", help="Data directory; default: ANSWERABLE_DATA, else ./.answerable.", metavar="DIR"
            ),
        ] = None,
        config: Annotated[
            Path | None,
            typer.Option(
                "--config",
                help="Settings file; default: answerable.toml in the data directory.",
                metavar="FILE",
            ),
        ] = None,
        quiet: Annotated[
            bool, typer.Option("--quiet", "-q", help="Print no messages except errors.")
        ] = False,
        plain: Annotated[
            bool, typer.Option("--no-color", help="Print without colour, as with NO_COLOR.")
        ] = False,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        ctx.obj = RootOptions(offline=self._offline, data=data, config=config, quiet=quiet, plain=plain)


_SIGNATURE: Final = Signature(list(signature(_RootOptions.__call__, eval_str=True).parameters.values())[1:])


def command_line(offline: Offline, word: str = "") -> typer.Typer:
    """Return the command line with every command that opens no listener of its own.

    offline: opens the control application on a data directory, for when no server runs. word: if not empty, only the
    module that registers it is imported, and no module if none does.
    """
    app = typer.Typer(
        name="answerable",
        help="Every effect an autonomous agent causes, traced to a principal, a task, a decision and a person.",
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Boxes and colour on a terminal, plain lines in a pipe.
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    app.callback()(_RootOptions(offline))
    for module, words in NOUNS.items():
        if not word or word in words:
            import_module(module).register(app)
    return app
