"""Group what is alike in a story, and say in a few lines who acted, for whom, for which task, and how it was decided.

Laws: a group has actions of one agent for one task by one capability, with nothing else of the story between them; an
action that people were asked about, or that had no such neighbours, stands alone; every number is of entries in the
story.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.incident.timeline import Line, denied_by_stop
from answerable.core.incident.wording import plain, quoted, short
from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import ACTIONS, PREVIEW
from answerable.core.search.undoing import undoing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from answerable.core.search.hit import Hit

ALIKE_MIN: Final = 5
"""Actions from which on a group is told as one."""
_SAID: Final = {"approve": "approved", "deny": "denied"}
LISTED_MAX: Final = 5
"""Names listed of more; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Actions told as one. line: the sentence, with the index and time of the first. entries: of all of them,
    with those of their ends. until: time of the last, Unix milliseconds."""

    line: Line
    entries: tuple[int, ...]
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """A story in a few lines. tasks: the mandates, with use case and purpose where readable. outcomes: number of
    actions by outcome; `denied_by_stop` of questions that a stop in this log ended. approvals: id, and the people who
    answered or the stop that denied it. not_reversible: entries of what cannot be undone. not_readable: number of
    actions of which that is sealed."""

    agents: tuple[str, ...]
    people: tuple[str, ...]
    tasks: tuple[str, ...]
    outcomes: tuple[tuple[str, int], ...]
    rules: tuple[str, ...]
    approvals: tuple[str, ...]
    not_reversible: tuple[int, ...]
    not_readable: int


def grouped(hits: Sequence[Hit]) -> tuple[Group, ...]:
    """Return the groups of a story, oldest first. hits: oldest first."""
    found: list[Group] = []
    open_now: dict[tuple[str, ...], list[Hit]] = {}
    for hit in hits:
        key = _alike(hit)
        if key is not None:
            open_now.setdefault(key, []).append(hit)
        elif hit.moment.tag not in (Tag.LEASE, Tag.CITED):
            found += _closed(open_now)
            open_now = {}
    found += _closed(open_now)
    return tuple(sorted(found, key=lambda one: one.line.index))


def gist_of(hits: Sequence[Hit]) -> Gist:
    """Return a story in a few lines."""
    actions = [one for one in hits if one.moment.tag in (Tag.INTENT, Tag.REFUSAL)]
    waiting = {one.facts.one("approval") for one in hits if one.moment.tag == Tag.APPROVAL_ASKED}
    waiting -= {one.facts.one("approval") for one in actions}
    outcomes = Counter(one.outcome for one in actions if one.facts.one("kind") != PREVIEW)
    stopped = waiting & {name for one in hits for name in denied_by_stop(one.moment)}
    for outcome, count in (("asked", len(waiting - stopped)), ("denied_by_stop", len(stopped))):
        if count:
            outcomes[outcome] = count
    undoing = [(one, undoing_of(one)) for one in actions]
    decided = [one for one in hits if one.facts.is_action]
    return Gist(
        agents=_distinct(name for one in decided for name in one.facts.names.get("agent", ())),
        people=_distinct(_person(one) for one in hits if one.facts.is_action or _is_issue(one)),
        tasks=_tasks(hits),
        outcomes=tuple(outcomes.most_common()),
        rules=_distinct(name for one in decided for name in one.facts.names.get("rule", ())),
        approvals=_approvals(hits),
        not_reversible=tuple(one.facts.entry for one, how in undoing if how == "not_reversible"),
        not_readable=sum(how == "not_readable" for _, how in undoing),
    )


def _alike(hit: Hit) -> tuple[str, ...] | None:
    """Return what an action has in common with those of its group; None for an entry that stands alone."""
    facts = hit.facts
    if hit.moment.tag not in (Tag.INTENT, Tag.REFUSAL) or facts.one("approval"):
        return None
    return facts.one("agent"), facts.one("mandate"), facts.one("capability")


def _closed(groups: dict[tuple[str, ...], list[Hit]]) -> Iterator[Group]:
    for hits in groups.values():
        if len(hits) >= ALIKE_MIN:
            yield _group(hits)


def _group(hits: list[Hit]) -> Group:
    first, last = hits[0].facts, hits[-1].facts
    outcomes = Counter(one.outcome for one in hits)
    told = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in outcomes.most_common())
    person, mandate = next((name for one in hits if (name := _person(one))), ""), first.one("mandate")
    text = (
        f"Agent {short(first.one('agent'))} used {short(first.one('capability') or 'something unknown')} "
        f"{len(hits)} times{f' for {plain(person)}' if person else ''}"
        f"{f' under mandate {short(mandate)}' if mandate else ' without a mandate'}: {told}."
    )
    line = Line(index=first.entry, at=first.at, kind="group", text=text, details=tuple(_details(hits)))
    entries = {one.facts.entry for one in hits} | {one.ended.entry for one in hits if one.ended is not None}
    return Group(line=line, entries=tuple(sorted(entries)), until=last.at)


def _details(hits: list[Hit]) -> Iterator[str]:
    resources = _distinct(name for one in hits for name in one.facts.sealed.get("resource", ()))
    if resources:
        what = "resource" if len(resources) == 1 else "resources"
        yield f"about {len(resources)} {what}: {listed_names(resources, quoted)}"
    to = _distinct(name for one in hits for name in one.facts.sealed.get("destination", ()))
    if to:
        yield f"sent to {len(to)}: {listed_names(to, quoted)}"
    decided = Counter(name for one in hits for name in one.facts.names.get("rule", ()))
    if decided:
        yield f"decided by {listed_names([f'{short(name)} ({count})' for name, count in decided.most_common()])}"
    refused = [one for one in hits if one.moment.tag == Tag.REFUSAL]
    for code, count in Counter(one.facts.one("code") for one in refused).most_common():
        of_code = [one for one in refused if one.facts.one("code") == code]
        numbers = listed_numbers([one.facts.entry for one in of_code])
        yield f"refused as {short(code)}: {count}, {numbers}{_reason(of_code[0])}"
    odd = [one.facts.entry for one in hits if one.outcome in ("failed", "indeterminate", "open")]
    if odd:
        yield f"failed, open, or with an end that is not known: {listed_numbers(odd)}"
    gone = [one.facts.entry for one in hits if undoing_of(one) == "not_reversible"]
    if gone:
        yield f"cannot be undone: {len(gone)}, {listed_numbers(gone)}"


def _reason(hit: Hit) -> str:
    """Return why the first of several was refused, where that is readable."""
    reasons = (hit.moment.payload or {}).get("reasons")
    told = [plain(one) for one in reasons if isinstance(one, str)] if isinstance(reasons, list) else []
    return f", the first because: {told[0]}" if told else ""


def _tasks(hits: Sequence[Hit]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for one in hits:
        mandate, fields = one.facts.one("mandate"), one.moment.payload or {}
        if not mandate:
            continue
        parts = [short(mandate)]
        if one.facts.one("use-case"):
            parts.append(f"use case {short(one.facts.one('use-case'))}")
        if isinstance(fields.get("purpose"), str):
            parts.append(f"purpose: {plain(fields['purpose'])}")
        told = ", ".join(parts)
        if len(told) > len(found.get(mandate, "")):
            found[mandate] = told
    return tuple(found.values())


def _approvals(hits: Sequence[Hit]) -> tuple[str, ...]:
    answers: dict[str, list[str]] = {}
    for one in hits:
        approval = one.facts.one("approval")
        if approval and one.moment.tag in ACTIONS:
            answers.setdefault(approval, [])
        if one.moment.tag == Tag.APPROVAL_ANSWER:
            said = _SAID.get(str(one.moment.leaf.get("verdict")), "answered")
            answers.setdefault(approval, []).append(f"{said} by {plain(_name(one, 'person'))}")
        for name in denied_by_stop(one.moment) & answers.keys():
            answers[name].append(f"denied by #{one.facts.entry}: {one.line.text.removesuffix('.')}")
    # What another log has of it, such as a stop, is not known here.
    return tuple(
        f"{short(name)}: {', '.join(said) or 'no answer in its log'}" for name, said in answers.items()
    )


def _is_issue(hit: Hit) -> bool:
    return hit.moment.tag == Tag.MANDATE_ISSUED


def _person(hit: Hit) -> str:
    """Return whose task it is: the name where it is readable, else the pseudonym."""
    return _name(hit, "principal") or (hit.facts.person if hit.moment.tag == Tag.REFUSAL else "")


def _name(hit: Hit, member: str) -> str:
    name = (hit.moment.payload or {}).get(member, hit.moment.leaf.get(member))
    return name if isinstance(name, str) else ""


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in names if one))


def listed_names(names: Sequence[str], each: Callable[[str], str] = plain) -> str:
    """Return the first names, and how many more there are. each: how one is told."""
    rest = len(names) - LISTED_MAX
    told = ", ".join(map(each, names[:LISTED_MAX]))
    return f"{told} and {rest} more" if rest > 0 else told


def listed_numbers(entries: Sequence[int | str]) -> str:
    """Return the first entries, and how many more there are."""
    return listed_names([f"#{one}" for one in entries])
