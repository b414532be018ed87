"""Search a ledger's files and print what was found: for the whole command line and for the light one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import to_builtins

from answerable.apps.cli.asked_index import complete_told, entry_told, warn_partial
from answerable.apps.cli.csv_rows import check_form, print_row
from answerable.apps.cli.exit_codes import UNMET
from answerable.core.search.log_cursors import check_cursor
from answerable.core.search.matching import sealed_fields
from answerable.core.search.query import checked_limit, parsed_query
from answerable.ports.search_process import SEARCH, Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.search_answers import SearchAnswer, SearchHit
    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.log_index import LogIndex


class SearchAsked(NamedTuple):
    """What is searched for."""

    words: tuple[str, ...]
    limit: int
    cursor: str


def with_bounds(words: Sequence[str], *, since: str, until: str) -> tuple[str, ...]:
    """Return words of a search with those for the times that were given."""
    bounds = (f"{name}:{text}" for name, text in (("since", since), ("until", until)) if text)
    return (*words, *bounds)


def checked_search(words: Sequence[str], *, limit: int, cursor: str) -> SearchAsked:
    """Return what is searched for, checked. Raises Malformed (`search.*`)."""
    asked = SearchAsked(words=tuple(words), limit=checked_limit(limit), cursor=cursor)
    parsed_query(asked.words, now=0)
    check_cursor(cursor)
    return asked


def searched_files(index: LogIndex, asked: SearchAsked) -> SearchAnswer:
    """Search files in this process. Raises as `LogIndex`."""
    return index.ask(SEARCH, Question(words=asked.words, limit=asked.limit, cursor=asked.cursor))


def print_found(terminal: Terminal, answer: SearchAnswer, asked: SearchAsked, *, as_csv: bool) -> int | None:
    """Print an answer and return the exit code. Raises as `check_form`."""
    check_form(terminal, as_csv=as_csv)
    if as_csv:
        _print_csv(answer)
    elif terminal.as_json:
        terminal.json(answer)
    else:
        _show(terminal, answer, asked)
    # That nothing was found says nothing about what could not be compared, or asked.
    return UNMET if (answer.sealed or answer.elsewhere) and not answer.items else None


def _print_csv(answer: SearchAnswer) -> None:
    from answerable.api.search_answers import SearchHit

    print_row(SearchHit.__struct_fields__)
    for one in answer.items:
        print_row(_cell(to_builtins(getattr(one, name))) for name in one.__struct_fields__)


def _cell(value: object) -> object:
    if isinstance(value, dict):
        value = [f"{name} {one}" for name, one in value.items()]
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _show(terminal: Terminal, answer: SearchAnswer, asked: SearchAsked) -> None:
    from answerable.apps.cli.told_story import sealed_told

    for one in answer.items:
        terminal.heading(f"{one.at}  #{entry_told(one.shard, one.entry)}  {one.text}")
        for detail in _details(one):
            terminal.line(f"    {detail}")
    upto = complete_told(answer)
    warn_partial(terminal, answer)
    if answer.sealed:
        terminal.warn(sealed_told(answer.sealed))
    if not answer.happened:
        terminal.say(f"nothing has happened yet ({upto})")
    elif not answer.items and answer.next:
        terminal.say(f"none found so far; look further with --cursor {answer.next} ({upto})")
    elif not answer.items and answer.sealed:
        terminal.say(f"no entry matches in what can be read without keys ({upto})")
    elif not answer.items:
        gone = "; what was sealed for an erased subject is found by no search"
        is_sealed = sealed_fields(parsed_query(asked.words, now=0))
        terminal.say(f"no entry matches{gone if is_sealed else ''} ({upto})")
    else:
        more = f"; more with --cursor {answer.next}" if answer.next else ""
        terminal.say(f"{len(answer.items)} found{more} ({upto})")


def _details(hit: SearchHit) -> list[str]:
    found = []
    if hit.ended is not None:
        found.append(
            f"ended as {hit.outcome.replace('_', ' ')} at {hit.ended_at}, entry {entry_told(hit.shard, hit.ended)}"
        )
    elif hit.outcome == "open":
        found.append("no recorded end")
    if hit.amount is not None:
        unit = f" minor units of {hit.currency}" if hit.currency else ""
        found.append(f"amount: {hit.amount}{unit}")
    if hit.resource:
        found.append(f"resource: {hit.resource}")
    if hit.destinations:
        found.append(f"sent to: {', '.join(hit.destinations)}")
    found += [f"session at the target: {name} {value}" for name, value in sorted(hit.session.items())]
    return found
