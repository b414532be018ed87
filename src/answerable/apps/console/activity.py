"""List recent activity as sentences, newest first, by the index: nothing of the ledger is read in this process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import anyio

from answerable.core.ledger.tags import Tag
from answerable.core.search.facts import kinds_of
from answerable.errors import AnswerableError
from answerable.ports.search_process import SEARCH, Question

if TYPE_CHECKING:
    from answerable.api.search_answers import SearchHit
    from answerable.ports.search_process import Searches

SECONDS_MAX: Final = 8.0
"""Longest wait of a page for its activity; that for the start of the process which answers is part of it."""

KINDS: Final = {
    "actions": (Tag.INTENT, Tag.REFUSAL),
    "refused": (Tag.REFUSAL, Tag.REFUSALS_COUNTED, Tag.DOOR_REFUSAL),
    "approvals": (Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.APPROVAL_VOID, Tag.CANARY_TOLD),
    "stops": (Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT, Tag.REVOKED, Tag.RULE_FIRED),
}
"""Kinds that the page can filter by; every other entry appears only without a filter. How an action ended is said with
the action."""


LATEST: Final = tuple(dict.fromkeys(tag for tags in KINDS.values() for tag in tags))
"""Actions of agents and the responses to them. Passkey enrolments appear only on the live page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityLine:
    """One action with its outcome, or one other entry. at: Unix milliseconds. ended: how an action ended, in words;
    empty where that is not known or the sentence says it."""

    entry: int
    at: int
    kind: str
    text: str
    ended: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What a page shows. happened: whether there is anything that could be found. missing: later entries that are not
    searched yet. fault: why nothing can be told; empty usually."""

    lines: tuple[ActivityLine, ...] = ()
    happened: bool = False
    missing: int = 0
    fault: str = ""


async def recent_activity(
    searches: Searches,
    *,
    lines_max: int,
    kind: str = "",
    tags: tuple[Tag, ...] = (),
    agent: str = "",
    seconds_max: float = SECONDS_MAX,
) -> Activity:
    """Return at most `lines_max` lines, newest first. kind: one of KINDS, or empty for all. tags: only these, whatever
    the kind. agent: only entries that are about this agent."""
    words = [f"kind:{one}" for one in kinds_of(tags or KINDS.get(kind, ()))]
    if agent:
        words.append(f"agent:{agent}")
    try:
        with anyio.fail_after(seconds_max):
            question = Question(words=tuple(words), limit=lines_max, cursor="")
            answer = await searches.ask(SEARCH, question)
    except TimeoutError:
        return Activity(fault=f"the index did not answer within {seconds_max:g} s; reload the page")
    except AnswerableError as failed:
        return Activity(fault=failed.message)
    lines = tuple(map(_line, answer.items))
    return Activity(lines=lines, happened=answer.happened, missing=answer.missing)


def _line(hit: SearchHit) -> ActivityLine:
    return ActivityLine(
        entry=hit.entry,
        at=int(datetime.fromisoformat(hit.at).timestamp() * 1000),
        kind=hit.kind,
        text=hit.text,
        ended=hit.outcome.replace("_", " ") if hit.ended is not None else "",
    )
