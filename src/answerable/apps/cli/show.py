"""`answerable show`: what any id stands for, and what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.apps.cli.exit_codes import ERROR, UNMET
from answerable.apps.cli.search import Index, Keys, LedgerCopy
from answerable.errors import shown

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.api.search_answers import NameAnswer
    from answerable.apps.cli.terminal import Terminal

Id = Annotated[
    str,
    typer.Argument(
        help="Any id, name or digest that is shown anywhere, the index of an entry, or the beginning of a name; "
        "KIND:NAME where a name is of several kinds.",
        show_default=False,
        metavar="ID",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb `show`."""
    command(app, "show", reads=True, panel="What happened", example="show mandate:01J9ZK4T7Q")(show)


def show(
    shell: Shell, name: Id, ledger: LedgerCopy = None, keys: Keys = None, index: Index = None
) -> int | None:
    """What an id stands for, and what belongs to it.

    Of an action, approval, mandate, hold, lease, token, instance, key, manifest, person, agent, capability, server,
    resource, session or entry: what happened to it, its actions by outcome, whose they were, and the newest of them.
    What the product issued comes before what people declared, and that before what callers wrote. Where the id may
    still be several things, they are listed.
    """
    from answerable.apps.cli.asked_index import warn_partial
    from answerable.apps.cli.told_story import sealed_told
    from answerable.errors.codes.search import SHOW_AMBIGUOUS, SHOW_UNKNOWN
    from answerable.errors.codes.services import CLI_SEARCH

    if ledger is None and (keys is not None or index is not None):
        raise CLI_SEARCH()
    terminal = shell.terminal
    answer = _answer(shell, name, ledger, keys, index)
    is_one = len(answer.may_be) == 1
    if terminal.as_json:
        terminal.json(answer)
    else:
        warn_partial(terminal, answer)
        if is_one:
            _show(terminal, answer)
        else:
            for candidate in answer.may_be:
                terminal.line(candidate.ask)
    if is_one:
        return None
    upto = _upto(answer)
    if answer.may_be:
        told_as = f"{shown(name)} may be {len(answer.may_be)} things: name one of them as KIND:NAME"
        terminal.fault(SHOW_AMBIGUOUS(told_as).message)
        return ERROR
    if not answer.happened:
        terminal.fault(f"nothing has happened yet ({upto})")
        return UNMET
    if answer.sealed:
        nothing = f"nothing that can be read without keys is called {shown(name)} ({upto})"
        terminal.fault(SHOW_UNKNOWN(f"{nothing}: {sealed_told(answer.sealed)}").message)
        return UNMET
    raise SHOW_UNKNOWN(f"nothing is called {shown(name)} ({upto})")


def _answer(
    shell: Shell, name: str, ledger: Path | None, keys: Path | None, index: Path | None
) -> NameAnswer:
    """Return the answer of the running server, or by files of this data directory or of a copy."""
    from answerable.apps.cli.asked_index import asked_server
    from answerable.client import search_calls
    from answerable.core.search.names import parsed_names
    from answerable.flows.forensics.answer_questions import Standing, answered_name
    from answerable.wiring.ledger_search import own_places, places_of_copy, searching, shards_elsewhere

    # A fault in what was typed needs no server.
    parsed_names([name], now=0)
    if ledger is None:
        answer = asked_server(shell, lambda control: search_calls.show_name(control, name))
        if answer is not None:
            return answer
    places = own_places(shell.settings()) if ledger is None else places_of_copy(ledger, keys, index)
    elsewhere = shards_elsewhere(shell.settings()) if ledger is None else ()
    with shell.terminal.progress("indexing") as told, searching(places, progress=told) as found:
        standing = Standing(elsewhere=elsewhere, sealed=found.sealed)
        return answered_name(found.teller(), name, standing=standing)


def _upto(answer: NameAnswer) -> str:
    from answerable.apps.cli.told_story import complete_told

    return complete_told(answer.entries, answer.complete_at)


def _show(terminal: Terminal, answer: NameAnswer) -> None:
    from answerable.apps.cli.told_story import also_told
    from answerable.core.search.names import KINDS
    from answerable.flows.forensics.tell_story import kind_told

    (what,) = answer.may_be
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in answer.outcomes.items())
    total = sum(answer.outcomes.values())
    belongs: dict[str, list[str]] = {}
    for one in answer.belongs:
        belongs.setdefault(one.field, []).append(f"{one.told} ({one.entries})")
    terminal.record(
        [
            (what.kind, what.name),
            ("is", " and ".join(map(kind_told, (what.kind, *what.same)))),
            ("also", also_told(answer.also)),
            ("entries", f"{answer.named}, from {answer.first_at} to {answer.last_at}"),
            ("actions", f"{total}: {outcomes}" if total else ""),
            *((field, ", ".join(names)) for field, names in belongs.items()),
        ]
    )
    for line in answer.events:
        terminal.heading(f"{line.at}  #{line.index}  {line.text}")
        for detail in line.details:
            terminal.line(f"    {detail}")
    for hit in answer.newest:
        ended = f"; {hit.outcome.replace('_', ' ')}" if hit.outcome != "refused" else ""
        terminal.line(f"{hit.at}  #{hit.entry}  {hit.text} (action {hit.action}{ended})")
    ask = what.ask if what.kind in KINDS else what.name
    terminal.say(f"its story: answerable timeline {shown(ask)} ({_upto(answer)})")
