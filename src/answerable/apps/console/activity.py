"""List recent activity: the latest ledger entries as sentences, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.incident.timeline import Line, concerns, told
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.flows.forensics.reconstruct_timeline import opened_moment

if TYPE_CHECKING:
    from answerable.flows.state.parts import Recorder

LOOKED_AT_MAX: Final = 400
"""Entries that one page examines; `answerable timeline` reads further back."""

KINDS: Final = {
    "actions": frozenset({Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE, Tag.REFUSAL}),
    "refused": frozenset({Tag.REFUSAL, Tag.REFUSALS_COUNTED, Tag.DOOR_REFUSAL}),
    "approvals": frozenset({Tag.APPROVAL_ASKED, Tag.APPROVAL_ANSWER, Tag.APPROVAL_VOID, Tag.CANARY_TOLD}),
    "stops": frozenset(
        {Tag.HOLD_PLACED, Tag.HOLD_LIFTED, Tag.CONTAINMENT_REPORT, Tag.REVOKED, Tag.RULE_FIRED}
    ),
}
"""Kinds that the page can filter by; every other entry appears only without a filter."""


LATEST: Final = frozenset().union(*KINDS.values())
"""Actions of agents and the responses to them. Passkey enrolments appear only on the live page."""


def recent_lines(
    recorder: Recorder, *, lines_max: int, kind: str = "", tags: frozenset[Tag] | None = None, agent: str = ""
) -> list[Line]:
    """Return at most `lines_max` lines, newest first. kind: one of KINDS, or empty for all. tags: only these, whatever
    the kind. agent: only entries that name this agent."""
    wanted = tags or KINDS.get(kind)
    found: list[Line] = []
    for index in range(recorder.ledger.size - 1, max(-1, recorder.ledger.size - 1 - LOOKED_AT_MAX), -1):
        try:
            stored = recorder.ledger.entry(index)
            if wanted is not None and stored.tag not in wanted:
                continue
            moment = opened_moment(stored, recorder.subject_keys.find)
            if agent and not concerns(moment, frozenset((agent,))):
                continue
            found.append(told(moment))
        except AnswerableError:
            continue
        if len(found) >= lines_max:
            break
    return found
