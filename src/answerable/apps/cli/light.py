"""The command line of an installation without the server: verify, ask a copy what happened, make and show keys.

Arguments, output and exit codes are those of the whole command line, whose functions it calls. Law: every other command
does nothing, names the command that installs the server and exits with 2.
"""

from __future__ import annotations

from argparse import REMAINDER, SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

from answerable.apps.cli import light_questions, without_server
from answerable.apps.cli.dashed_ids import with_ids_last
from answerable.apps.cli.exit_codes import EXIT_CODES, USAGE, exit_code_of
from answerable.apps.cli.terminal import Terminal
from answerable.apps.cli.version import version_told
from answerable.extras import INSTALL_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NEEDS_SERVER: Final = f"this command needs the server: {INSTALL_SERVER}"
_COLUMN: Final = 18
_WIDTH: Final = 79


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """help: one line. declare: adds its arguments and options. run: returns the exit code, None for 0."""

    help: str
    declare: Callable[[ArgumentParser], object]
    run: Callable[[Terminal, Namespace], int | None]


def run_light(words: Sequence[str]) -> int:
    """Run one command line and return its exit code. Raises SystemExit for help and for usage errors, as argparse."""
    root = _root()
    given = root.parse_args(words)
    named = _named(given.words)
    if not given.words:
        root.print_help()
        return USAGE
    if not named:
        if given.words[0] in {name[0] for name in COMMANDS} and given.words[1:] in ([], ["-h"], ["--help"]):
            root.print_help()
            return USAGE if len(given.words) == 1 else 0
        told = " ".join(word for word in given.words[:2] if not word.startswith("-"))
        return _refused(Terminal(draws=False), told)
    command = COMMANDS[named]
    parser = _parser(" ".join(("answerable", *named)), command.help)
    command.declare(parser)
    parser.add_argument(
        "--json", dest="as_json", action="store_true", default=False, help="Print the result as JSON."
    )
    rest = with_ids_last(given.words[len(named) :], _with_values(parser))
    options = parser.parse_args(rest, given)
    terminal = Terminal(as_json=options.as_json, quiet=getattr(options, "quiet", False), draws=False)
    return exit_code_of(terminal, lambda: command.run(terminal, options), parser.prog)


def _refused(terminal: Terminal, told: str) -> int:
    terminal.fault(f"`{told}`: {_NEEDS_SERVER}")
    return USAGE


def _named(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that the words begin with; empty for a command of the server."""
    return next((name for name in COMMANDS if tuple(words[: len(name)]) == name), ())


def _root() -> ArgumentParser:
    listed = [f"  {' '.join(name):{_COLUMN}}{one.help}" for name, one in COMMANDS.items()]
    codes = ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    told = [
        "Verify ledgers and evidence, ask a copy what happened, and create keys, without a server.",
        "",
        "commands:",
        *listed,
        "",
        f"Every other command needs the server: {INSTALL_SERVER}",
    ]
    parser = _parser("answerable", "\n".join(told), epilog=fill(f"Exit codes: {codes}.", _WIDTH))
    parser.usage = "answerable [OPTIONS] COMMAND [ARGS]..."
    parser.add_argument("--version", action="version", version=version_told(), help="Print the version.")
    parser.add_argument("words", nargs=REMAINDER, help=SUPPRESS)
    return parser


def _parser(name: str, description: str, epilog: str = "") -> ArgumentParser:
    """Make a parser with the options that all commands share, which may also be given before the command."""
    parser = ArgumentParser(
        prog=name,
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        argument_default=SUPPRESS,
        formatter_class=RawDescriptionHelpFormatter,
    )
    # Accepted and ignored, so that one command line works in both installations.
    parser.add_argument("--data", type=Path, metavar="DIR", help=SUPPRESS)
    parser.add_argument("--config", type=Path, metavar="FILE", help=SUPPRESS)
    parser.add_argument("--no-color", dest="plain", action="store_true", help=SUPPRESS)
    parser.add_argument("--quiet", "-q", action="store_true", help="Print no messages except errors.")
    return parser


def _with_values(parser: ArgumentParser) -> frozenset[str]:
    options = [one for one in parser._actions if one.option_strings and one.nargs != 0]
    return frozenset(name for one in options for name in one.option_strings)


# --- the commands ----------------------------------------------------------------------------------------


def _key_and_policy(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--verifier-key",
        "--key",
        dest="key",
        default=None,
        metavar="VKEY",
        help="The log's verifier key, from another source.",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        default=None,
        metavar="FILE",
        help="Whose cosignatures count, and how many (C2SP tlog-policy).",
    )


def _of_ledger(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="Ledger directory, or a copy of one.")
    _key_and_policy(parser)
    parser.add_argument(
        "--kept",
        "--checkpoint",
        type=Path,
        default=None,
        metavar="FILE",
        help="Saved checkpoints and batch heads that the log must still extend.",
    )
    parser.add_argument(
        "--since",
        default=None,
        metavar="TIME",
        help="Require a cosignature at or after this time (RFC 3339).",
    )


def _of_evidence(parser: ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="FILE", help="An evidence bundle.")
    _key_and_policy(parser)


def _of_replay(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--bundle",
        type=Path,
        default=None,
        metavar="FILE",
        help="Use the decisions in this evidence bundle (from `evidence export --replay`).",
    )
    parser.add_argument("name", nargs="?", help=SUPPRESS)
    for option in ("--all", "--from", "--to"):
        parser.add_argument(option, nargs="?", help=SUPPRESS)


def _of_new_key(parser: ArgumentParser) -> None:
    _of_key(parser)
    parser.add_argument(
        "--kind", choices=[*without_server.ALGORITHMS], default="ed25519", help="Kind of key."
    )
    parser.add_argument(
        "--public",
        type=Path,
        default=None,
        metavar="FILE",
        help="Write the public key to this file, to register it.",
    )


def _of_key(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="Key file.")


def _of_ledger_copy(
    name: str, run: Callable[[Terminal, Namespace], int | None]
) -> Callable[[Terminal, Namespace], int | None]:
    """Return what runs a question to a copy, and says that it needs one."""

    def asked(terminal: Terminal, said: Namespace) -> int | None:
        return run(terminal, said) if said.ledger else _refused(terminal, f"{name}` without `--ledger DIR")

    return asked


def _replay(terminal: Terminal, said: Namespace) -> int | None:
    if said.bundle is None:
        return _refused(terminal, "decision replay` without `--bundle FILE")
    return without_server.show_replayed(terminal, without_server.content_of_bundle(said.bundle))


COMMANDS: Final[dict[tuple[str, ...], _Command]] = {
    ("ledger", "verify"): _Command(
        help="Check every byte of a ledger, offline.",
        declare=_of_ledger,
        run=lambda terminal, said: without_server.verify_copy(
            terminal, said.directory, key=said.key, policy=said.policy, kept=said.kept, since=said.since
        ),
    ),
    ("evidence", "verify"): _Command(
        help="Check an evidence bundle, offline.",
        declare=_of_evidence,
        run=lambda terminal, said: without_server.verify_bundle(
            terminal, said.bundle, policy=said.policy, key=said.key
        ),
    ),
    ("decision", "replay"): _Command(
        help="Replay the decisions in an evidence bundle.",
        declare=_of_replay,
        run=_replay,
    ),
    ("search",): _Command(
        help="Find actions, refusals and everything else in a copy.",
        declare=light_questions.of_search,
        run=_of_ledger_copy("search", light_questions.run_search),
    ),
    ("timeline",): _Command(
        help="The story of any name, or the actions under one prompt or model, from a copy.",
        declare=light_questions.of_timeline,
        run=_of_ledger_copy("timeline", light_questions.run_timeline),
    ),
    ("show",): _Command(
        help="What any id stands for, from a copy.",
        declare=light_questions.of_show,
        run=_of_ledger_copy("show", light_questions.run_show),
    ),
    ("account", "list"): _Command(
        help="List the accounts at targets, from a copy.",
        declare=light_questions.of_accounts,
        run=_of_ledger_copy("account list", light_questions.run_accounts),
    ),
    ("scope",): _Command(
        help="Count what was tried outside of scope, from a copy.",
        declare=light_questions.of_scope,
        run=_of_ledger_copy("scope", light_questions.run_scope),
    ),
    ("attribute",): _Command(
        help="Attribute a target's own log to the steps of a copy.",
        declare=light_questions.of_attribute,
        run=light_questions.run_attribute,
    ),
    ("key", "new"): _Command(
        help="Create a key in a file that only you can read.",
        declare=_of_new_key,
        run=lambda terminal, said: without_server.make_key(
            terminal, said.file, kind=said.kind, public=said.public
        ),
    ),
    ("key", "show"): _Command(
        help="Print the public key of a key file.",
        declare=_of_key,
        run=lambda terminal, said: without_server.show_key(terminal, said.file),
    ),
}
"""Commands by the words that name them."""
