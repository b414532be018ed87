"""What the light command line asks of a copy of a ledger: arguments and options as in the whole one, and how they are
run."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from answerable.apps.cli import without_server
from answerable.core.attribution.log_line import LOG_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.log_index import LogIndex


def of_search(parser: ArgumentParser) -> None:
    """Declare what `search` takes."""
    _words(parser, "What must hold of an entry; all of it.")
    _of_copy(parser)
    _times(parser)
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="Hits of a page, at most 1000.")
    parser.add_argument("--cursor", default="", metavar="CURSOR", help="Continue after an earlier answer.")
    _csv(parser, "Print the hits as CSV (RFC 4180), with a heading.")


def of_show(parser: ArgumentParser) -> None:
    """Declare what `show` takes."""
    parser.add_argument("name", metavar="ID", help="Any id, name or digest that is shown anywhere.")
    _of_copy(parser)


def of_scope(parser: ArgumentParser) -> None:
    """Declare what `scope` takes."""
    _words(parser, "Count only actions of which this holds.")
    _of_copy(parser)
    _times(parser)
    parser.add_argument(
        "--top", type=_positive, default=10, metavar="N", help="Rows of each table but that of weeks."
    )
    _csv(parser, "Print the rows as CSV (RFC 4180), with a heading.")


def of_accounts(parser: ArgumentParser) -> None:
    """Declare what `account list` takes."""
    _of_copy(parser)
    parser.add_argument("--target", default="", metavar="NAME", help="Only at this target.")
    parser.add_argument(
        "--seen", type=Path, default=None, metavar="FILE", help="Accounts that `attribute --seen` kept."
    )
    _csv(parser, "Print the accounts as CSV (RFC 4180), with a heading.")


def of_attribute(parser: ArgumentParser) -> None:
    """Declare what `attribute` takes."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Files of one log, oldest first.")
    parser.add_argument("--kind", choices=LOG_KINDS, required=True, help="Whose log it is.")
    parser.add_argument(
        "--ledger", type=Path, required=True, metavar="DIR", help="Ledger directory, or a copy of one."
    )
    for option, value, helps in (
        ("--complete", "TIME", "When the ledger was sealed, as RFC 3339: up to then it has everything."),
        ("--prefix", "TEXT", "PostgreSQL's `log_line_prefix`, for a log on standard error."),
        ("--zone", "OFFSET", "Time zone of times that name none: +01:00."),
    ):
        parser.add_argument(option, default="", metavar=value, help=helps)
    parser.add_argument(
        "--seen", type=Path, default=None, metavar="FILE", help="Add the accounts of the log to this file."
    )
    for option, helps in (
        ("--account", "An account that only the broker is to use."),
        ("--target", "Whose log it is, as the broker calls it."),
    ):
        parser.add_argument(option, action="append", default=[], metavar="NAME", help=helps)
    parser.add_argument(
        "--keys",
        type=Path,
        default=None,
        metavar="DIR",
        help="Compare contents, opened with the subject keys of this data directory, or a copy of one.",
    )
    _csv(parser, "Print every line that has an answer, as CSV.")


def of_timeline(parser: ArgumentParser) -> None:
    """Declare what `timeline` takes."""
    parser.add_argument(
        "words",
        nargs="*",
        default=(),
        metavar="NAME|FIELD:VALUE",
        help="Names of actions, mandates, agents …, or an index; words of a search narrow it.",
    )
    _of_copy(parser)
    parser.add_argument(
        "--all", action="store_true", default=False, help="Tell each entry, also of actions that are alike."
    )
    parser.add_argument(
        "--limit", type=int, default=1_000, metavar="N", help="Entries that are asked about, at most 1000."
    )
    _times(parser)
    for option, value in (
        ("--manifest", "DIGEST"),
        ("--prompt", "sha256:HEX"),
        ("--model", "NAME[@VERSION]"),
    ):
        parser.add_argument(option, default="", metavar=value, help="Actions under manifests with this one.")


def _words(parser: ArgumentParser, helps: str) -> None:
    parser.add_argument("words", nargs="*", default=(), metavar="FIELD:VALUE", help=helps)


def _of_copy(parser: ArgumentParser) -> None:
    for option, helps in (
        (
            "--ledger",
            "Read this ledger directory, or a copy of one; sealed fields stay sealed. Required without the server.",
        ),
        ("--keys", "Decrypt with the subject keys of this data directory, or a copy of one."),
        ("--index", "Keep the index here, so that the next call reads new entries only."),
    ):
        parser.add_argument(option, type=Path, default=None, metavar="DIR", help=helps)


def _times(parser: ArgumentParser) -> None:
    for option, helps in (("--since", "At or after this time."), ("--until", "Before this time.")):
        parser.add_argument(option, default="", metavar="TIME", help=helps)


def _csv(parser: ArgumentParser, helps: str) -> None:
    parser.add_argument("--csv", dest="as_csv", action="store_true", default=False, help=helps)


def _positive(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a number of at least 1")


# --- how they are run ------------------------------------------------------------------------------------


def run_search(terminal: Terminal, said: Namespace) -> int | None:
    """Search. Raises as `searched_files`."""
    from answerable.apps.cli.told_search import checked_search, print_found, searched_files, with_bounds

    words = with_bounds(said.words, since=said.since, until=said.until)
    asked = checked_search(words, limit=said.limit, cursor=said.cursor)
    with _files(terminal, said) as files:
        answer = searched_files(files, asked)
    return print_found(terminal, answer, asked, as_csv=said.as_csv)


def run_show(terminal: Terminal, said: Namespace) -> int | None:
    """Say what a name stands for. Raises as `read_name` and `show_name`."""
    from answerable.apps.cli.told_name import read_name, show_name

    with _files(terminal, said) as files:
        answer = read_name(files, said.name)
    return show_name(terminal, answer, said.name)


def run_scope(terminal: Terminal, said: Namespace) -> int | None:
    """Count what was tried outside of scope. Raises as `read_scope`."""
    from answerable.apps.cli.told_scope import read_scope, show_scope
    from answerable.apps.cli.told_search import with_bounds

    words = with_bounds(said.words, since=said.since, until=said.until)
    with _files(terminal, said) as files:
        answer = read_scope(files, words, said.top)
    return show_scope(terminal, answer, as_csv=said.as_csv)


def run_accounts(terminal: Terminal, said: Namespace) -> int | None:
    """List the accounts at targets. Raises as `read_accounts`."""
    from answerable.apps.cli.told_accounts import read_accounts, show_accounts

    with _files(terminal, said, said.seen) as files:
        answer = read_accounts(files, said.target)
    return show_accounts(terminal, answer, as_csv=said.as_csv, target=said.target)


def run_attribute(terminal: Terminal, said: Namespace) -> int | None:
    """Attribute a target's log. Raises as `attribute_files`."""
    from answerable.apps.cli.told_attribution import LogAsked, attribute_files

    asked = LogAsked(
        files=said.files,
        kind=said.kind,
        ledger=said.ledger,
        complete=said.complete,
        prefix=said.prefix,
        zone=said.zone,
        accounts=said.account,
        targets=said.target,
        csv=said.as_csv,
        keys=said.keys,
        seen=said.seen,
    )
    return attribute_files(terminal, asked)


def run_timeline(terminal: Terminal, said: Namespace) -> int | None:
    """Tell a story, or the actions under a manifest. Raises as `read_story` and `tell_copied_actions`."""
    from answerable.apps.cli.told_story import StoryAsked, check_asked, read_story, show_story

    about = {"manifest": said.manifest, "prompt": said.prompt, "model": said.model}
    asked = StoryAsked(
        words=tuple(said.words), since=said.since, until=said.until, limit=said.limit, every=said.all
    )
    check_asked(asked.search, about)
    if not asked.search:
        return without_server.tell_copied_actions(terminal, said.ledger, about)
    with _files(terminal, said) as files:
        answer = read_story(files, asked)
    return show_story(terminal, answer, asked)


@contextmanager
def _files(terminal: Terminal, said: Namespace, seen: Path | None = None) -> Iterator[LogIndex]:
    from answerable.wiring.ledger_search import places_of_copy
    from answerable.wiring.log_index import FilesIndex

    with terminal.progress("indexing") as told:
        yield FilesIndex(places_of_copy(said.ledger, said.keys, said.index, seen), progress=told)
