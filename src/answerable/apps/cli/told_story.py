"""Ask for the story of a name, and print it: for the whole command line and for the light one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.apps.cli.account_lines import account_lines
from answerable.apps.cli.asked_index import complete_told, entry_told, warn_partial
from answerable.apps.cli.exit_codes import UNMET, code_of
from answerable.core.search.names import advice_for, is_term, parsed_names
from answerable.core.search.query import checked_limit
from answerable.errors import shown
from answerable.errors.codes.ledger import TIMELINE_EMPTY, TIMELINE_UNKNOWN
from answerable.errors.codes.services import CLI_TIMELINE
from answerable.ports.search_process import STORY, StoryQuestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.api.ledger_answers import TimelineLine
    from answerable.api.search_answers import NameBeside, StoryAnswer
    from answerable.apps.cli.terminal import Terminal
    from answerable.errors import Malformed
    from answerable.wiring.log_index import LogIndex


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


def read_story(index: LogIndex, asked: StoryAsked) -> StoryAnswer:
    """Return the story by the files of a ledger. Raises Malformed (`search.*`), and as `LogIndex`."""
    parsed_names(asked.search, now=0)
    limit = checked_limit(asked.limit)
    return index.ask(STORY, StoryQuestion(words=asked.search, limit=limit))


def show_story(terminal: Terminal, answer: StoryAnswer, asked: StoryAsked) -> int | None:
    """Print the story, or why there is none, and return the exit code."""
    fault = _missing(asked, answer)
    if terminal.as_json:
        terminal.json(answer)
    else:
        warn_partial(terminal, answer)
        if fault is not None:
            terminal.fault(fault.message)
        else:
            _show(terminal, answer, every=asked.every)
            if answer.unknown:
                terminal.warn(_unknown(answer.unknown, answer))
    if fault is None:
        return None
    return UNMET if answer.sealed or fault.code == TIMELINE_EMPTY.id else code_of(fault)


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


def _unknown(names: Sequence[str], answer: StoryAnswer) -> str:
    """Return that no entry has these names."""
    where = "what can be read without keys" if answer.sealed else "the ledger"
    return f"{where} has no entry about {', '.join(map(shown, names))} ({complete_told(answer)})"


def _missing(asked: StoryAsked, answer: StoryAnswer) -> Malformed | None:
    """Return the error that says why there is no story; None where there is one."""
    upto = complete_told(answer)
    if answer.lines or answer.accounts:
        return None
    if not answer.happened:
        return TIMELINE_EMPTY(f"nothing has happened yet ({upto})")
    names = [one for one in asked.words if not is_term(one)]
    if answer.sealed:
        nothing = "what can be read without keys has no such entry"
        return TIMELINE_UNKNOWN(f"{nothing} ({upto}): {sealed_told(answer.sealed)}")
    here = [one for one in names if one not in answer.unknown]
    if here:
        fields = {one.partition(":")[0] for one in asked.search if is_term(one)}
        rest = "in that time" if fields <= {"since", "until"} else "that meets all of the question"
        return TIMELINE_UNKNOWN(
            f"the ledger has entries about {', '.join(map(shown, here))}, and none {rest} ({upto})"
        )
    if names:
        return TIMELINE_UNKNOWN(f"{_unknown(names, answer)}{''.join(map(advice_for, names))}")
    return TIMELINE_UNKNOWN(f"the ledger has no such entry ({upto})")


def _show(terminal: Terminal, answer: StoryAnswer, *, every: bool) -> None:
    terminal.record(_gist(answer))
    groups = {} if every else {(one.line.shard, one.line.index): one for one in answer.groups}
    told = {(one.line.shard, entry) for one in groups.values() for entry in one.entries}
    for line in answer.lines:
        place = line.shard, line.index
        group = groups.get(place)
        if group is not None:
            first, last = entry_told(*place), entry_told(line.shard, group.entries[-1])
            terminal.heading(f"{line.at} to {group.until}  #{first} to #{last}  {group.line.text}")
            _details(terminal, group.line)
        elif place not in told:
            terminal.heading(f"{line.at}  #{entry_told(*place)}  {line.text}")
            _details(terminal, line)
    upto = complete_told(answer)
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
