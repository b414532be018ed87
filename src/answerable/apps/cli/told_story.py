"""Ask for the story of a name, and print it: for the whole command line and for the light one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.apps.cli.account_lines import account_lines
from answerable.apps.cli.asked_index import warn_partial
from answerable.apps.cli.exit_codes import UNMET, code_of
from answerable.core.search.names import advice_for, is_term, parsed_names
from answerable.core.search.query import checked_limit
from answerable.errors import shown
from answerable.errors.codes.ledger import TIMELINE_EMPTY, TIMELINE_UNKNOWN
from answerable.errors.codes.services import CLI_TIMELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.ledger_answers import TimelineLine
    from answerable.api.search_answers import NameBeside, StoryAnswer
    from answerable.apps.cli.terminal import Terminal
    from answerable.errors import Malformed
    from answerable.wiring.ledger_search import SearchPlaces


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryAsked:
    """What a timeline is asked about. words: names, and words of a search. every: whether each entry is told alone."""

    words: tuple[str, ...]
    since: str = ""
    until: str = ""
    limit: int = 1_000
    every: bool = False

    @property
    def search(self) -> tuple[str, ...]:
        """Return all words, with the times as words of a search."""
        bounds = (f"{name}:{text}" for name, text in (("since", self.since), ("until", self.until)) if text)
        return (*self.words, *bounds)


def check_asked(words: Sequence[str], about: dict[str, str]) -> None:
    """Check that a timeline is asked of either names or a manifest. Raises Malformed (`cli.timeline`)."""
    if bool(words) == any(about.values()):
        raise CLI_TIMELINE()


def read_story(
    terminal: Terminal, places: SearchPlaces, asked: StoryAsked, *, elsewhere: tuple[str, ...] = ()
) -> StoryAnswer:
    """Return the story by the files of a ledger. elsewhere: shards whose logs are left out. Raises Malformed
    (`search.*`), Unavailable, and Broken as `searching`."""
    from answerable.flows.forensics.answer_questions import Standing, answered_story
    from answerable.wiring.ledger_search import searching
    from answerable.wiring.seen_accounts import known_accounts

    now = time.time_ns() // 1_000_000
    parsed_names(asked.search, now=now)
    limit = checked_limit(asked.limit)
    with terminal.progress("indexing") as told, searching(places, progress=told) as found:
        known = known_accounts(places.seen)
        standing = Standing(elsewhere=elsewhere, known=known, sealed=found.sealed)
        return answered_story(found.teller(), asked.search, now=now, limit=limit, standing=standing)


def show_story(terminal: Terminal, answer: StoryAnswer, asked: StoryAsked) -> int | None:
    """Print the story, or why there is none, and return the exit code."""
    fault = _missing(asked.words, answer)
    if terminal.as_json:
        terminal.json(answer)
    else:
        warn_partial(terminal, answer)
        if fault is not None:
            terminal.fault(fault.message)
        else:
            _show(terminal, answer, every=asked.every)
    if fault is None:
        return None
    return UNMET if answer.sealed or fault.code == TIMELINE_EMPTY.id else code_of(fault)


def complete_told(entries: int, at: str | None) -> str:
    """Return up to where an answer is complete, in words."""
    return f"complete up to entry {entries - 1}, {at}" if entries else "empty ledger"


def sealed_told(fields: Sequence[str]) -> str:
    """Return that fields could not be compared, in words."""
    named = ", ".join(f"`{one}`" for one in fields)
    are = "is" if len(fields) == 1 else "are"
    return f"{named} {are} sealed, and cannot be compared without the subject keys: give them with --keys"


def also_told(also: Sequence[NameBeside]) -> list[str]:
    """Return what is spelled like a name and is not told with it, in words."""
    from answerable.core.incident.wording import plain
    from answerable.flows.forensics.tell_story import kind_told

    return [
        f"{kind_told(one.kind)}, in {one.entries} other {'entry' if one.entries == 1 else 'entries'}: {plain(one.ask)}"
        for one in also
    ]


def _missing(words: Sequence[str], answer: StoryAnswer) -> Malformed | None:
    """Return the error that says why there is no story; None where there is one."""
    upto = complete_told(answer.entries, answer.complete_at)
    if answer.lines or answer.accounts:
        return None
    if not answer.happened:
        return TIMELINE_EMPTY(f"nothing has happened yet ({upto})")
    names = [one for one in words if not is_term(one)]
    if answer.sealed:
        nothing = "what can be read without keys has no such entry"
        return TIMELINE_UNKNOWN(f"{nothing} ({upto}): {sealed_told(answer.sealed)}")
    what = f"has no entry about {shown(names[0])}" if len(names) == len(words) == 1 else "has no such entry"
    advice = "".join(map(advice_for, names))
    return TIMELINE_UNKNOWN(f"the ledger {what} ({upto}){advice}")


def _show(terminal: Terminal, answer: StoryAnswer, *, every: bool) -> None:
    terminal.record(_gist(answer))
    groups = {} if every else {one.line.index: one for one in answer.groups}
    told = {entry for one in groups.values() for entry in one.entries}
    for line in answer.lines:
        group = groups.get(line.index)
        if group is not None:
            last = group.entries[-1]
            terminal.heading(f"{line.at} to {group.until}  #{line.index} to #{last}  {group.line.text}")
            _details(terminal, group.line)
        elif line.index not in told:
            terminal.heading(f"{line.at}  #{line.index}  {line.text}")
            _details(terminal, line)
    upto = complete_told(answer.entries, answer.complete_at)
    cut = (
        "; older ones are left out: narrow it with --since and --until, or give --limit"
        if answer.is_cut
        else ""
    )
    alike = "; --all tells each of those that are alike" if groups else ""
    count = f"{len(answer.lines)} {'entry' if len(answer.lines) == 1 else 'entries'}"
    terminal.say(f"{count}{alike}{cut} ({upto})")


def _details(terminal: Terminal, line: TimelineLine) -> None:
    for detail in line.details:
        terminal.line(f"    {detail}")


def _gist(answer: StoryAnswer) -> list[tuple[str, object]]:
    from answerable.core.search.narrative import listed_names, listed_numbers
    from answerable.flows.forensics.tell_story import kinds_told

    gist = answer.gist
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in gist.outcomes.items())
    undone = (
        [f"{len(gist.not_reversible)}: {listed_numbers(gist.not_reversible)}"] if gist.not_reversible else []
    )
    if gist.not_readable:
        undone.append(f"{gist.not_readable} of which that cannot be read here")
    total = sum(gist.outcomes.values())
    return [
        ("is", " and ".join(kinds_told(answer.kinds))),
        ("also", also_told(answer.also)),
        ("account", account_lines(answer.accounts)),
        ("who", listed_names(gist.agents)),
        ("for whom", listed_names(gist.people)),
        ("task", list(gist.tasks[:5])),
        ("actions", f"{total}: {outcomes}" if total else ""),
        ("decided by", listed_names(gist.rules)),
        ("approval", list(gist.approvals[:5])),
        ("cannot be undone", undone),
    ]
