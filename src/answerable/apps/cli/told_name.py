"""Say what a name stands for: for the whole command line and for the light one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.cli.account_lines import account_lines
from answerable.apps.cli.asked_index import complete_told, entry_told, warn_partial
from answerable.apps.cli.exit_codes import ERROR, UNMET
from answerable.apps.cli.told_story import also_told, sealed_told
from answerable.core.search.names import KINDS, parsed_names
from answerable.errors import shown
from answerable.errors.codes.search import SHOW_AMBIGUOUS, SHOW_UNKNOWN
from answerable.ports.search_process import NAME, NameQuestion

if TYPE_CHECKING:
    from answerable.api.search_answers import NameAnswer
    from answerable.apps.cli.terminal import Terminal
    from answerable.wiring.log_index import LogIndex


def read_name(index: LogIndex, name: str) -> NameAnswer:
    """Return what a name stands for, by the files of a ledger. Raises Malformed (`search.*`), and as `LogIndex`."""
    parsed_names([name], now=0)
    return index.ask(NAME, NameQuestion(name=name))


def show_name(terminal: Terminal, answer: NameAnswer, name: str) -> int | None:
    """Print what a name stands for, or may be, and return the exit code. Raises Malformed (`show.unknown`)."""
    is_one = len(answer.may_be) == 1
    may_be = [one.ask for one in answer.may_be]
    if may_be and answer.accounts and all(one.kind != "account" for one in answer.may_be):
        # No entry has the account: a target's log has it, or the broker.
        may_be.append(f"account:{name}")
    if terminal.as_json:
        terminal.json(answer)
    else:
        warn_partial(terminal, answer)
        if is_one:
            _show(terminal, answer)
        else:
            for ask in may_be:
                terminal.line(ask)
    if is_one:
        return None
    if answer.accounts and not may_be:
        if not terminal.as_json:
            terminal.record(
                [("name", name), ("is", "an account"), ("account", account_lines(answer.accounts))]
            )
        return None
    upto = complete_told(answer)
    if may_be:
        told_as = f"{shown(name)} may be {len(may_be)} things: name one of them as KIND:NAME"
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
            ("account", account_lines(answer.accounts)),
            ("entries", f"{answer.named}, from {answer.first_at} to {answer.last_at}"),
            ("actions", f"{total}: {outcomes}" if total else ""),
            *((field, ", ".join(names)) for field, names in belongs.items()),
        ]
    )
    for line in answer.events:
        terminal.heading(f"{line.at}  #{entry_told(line.shard, line.index)}  {line.text}")
        for detail in line.details:
            terminal.line(f"    {detail}")
    for hit in answer.newest:
        ended = f"; {hit.outcome.replace('_', ' ')}" if hit.outcome != "refused" else ""
        terminal.line(
            f"{hit.at}  #{entry_told(hit.shard, hit.entry)}  {hit.text} (action {hit.action}{ended})"
        )
    ask = what.ask if what.kind in KINDS else what.name
    terminal.say(f"its story: answerable timeline {shown(ask)} ({complete_told(answer)})")
