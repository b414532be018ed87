"""Say what a name stands for in a ledger's files: for the whole command line and for the light one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.cli.exit_codes import ERROR, UNMET
from answerable.apps.cli.told_story import also_told, complete_told, sealed_told
from answerable.core.search.names import KINDS, parsed_names
from answerable.errors import shown
from answerable.errors.codes.search import SHOW_AMBIGUOUS, SHOW_UNKNOWN

if TYPE_CHECKING:
    from answerable.api.search_answers import NameAnswer
    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.ledger_search import Searching, SearchPlaces


def show_name(terminal: Terminal, places: SearchPlaces, name: str) -> int | None:
    """Print what a name stands for. Raises Malformed (`show.unknown`), and as `searching`."""
    from answerable.flows.forensics.describe_name import describe_name, may_be
    from answerable.flows.forensics.tell_hits import name_answer
    from answerable.wiring.ledger_search import searching

    with terminal.progress("indexing") as told, searching(places, progress=told) as found:
        teller = found.teller()
        candidates = may_be(teller, name)
        one = describe_name(teller, candidates[0]) if len(candidates) == 1 else None
        answer = name_answer(candidates, one, teller.index.reach(), sealed=_sealed(found, name))
    if terminal.as_json:
        terminal.json(answer)
    elif one is not None:
        _show(terminal, answer)
    for candidate in answer.may_be if one is None and not terminal.as_json else ():
        terminal.line(candidate.ask)
    if one is not None:
        return None
    upto = _upto(answer)
    if candidates:
        told_as = f"{shown(name)} may be {len(candidates)} things: name one of them as KIND:NAME"
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


def _sealed(found: Searching, name: str) -> tuple[str, ...]:
    """Return what a name was not tried as, because it is sealed here."""
    asked = parsed_names([name], now=0)
    return found.sealed(asked.query, asked.names)


def _upto(answer: NameAnswer) -> str:
    return complete_told(answer.entries, answer.complete_at)


def _show(terminal: Terminal, answer: NameAnswer) -> None:
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
