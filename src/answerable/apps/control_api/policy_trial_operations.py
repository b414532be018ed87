"""Try policy sets: simulate them on the ledger, or evaluate them as a shadow beside the sets in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.apps.control_api.call import Operation, instant
from answerable.apps.control_api.policy_operations import given_sets
from answerable.apps.control_api.schemas import (
    COUNT,
    DIGEST,
    INSTANT,
    TEXT,
    TEXTS,
    Schema,
    choice,
    mapping,
    nullable,
    record,
    sequence,
)
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import shown
from answerable.errors.codes.policy import SHADOW_NONE
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.policy.shadow_policy import shadow_seen, shadow_set, start_shadow, stop_shadow
from answerable.flows.policy.simulate_policy import simulate_policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.apps.control_api.call import Answer, Call
    from answerable.core.canonical import JSONValue
    from answerable.core.decision.asked_of_people import QuestionsCompared
    from answerable.core.decision.compared import Difference, Tally


async def simulate(call: Call) -> Answer:
    """Return one page of what policy sets would have decided."""
    documents, removed = given_sets(call, "since", "start", "tiers")
    body = call.members("documents", "removed", "since", "start", "tiers")
    given = body.texts_by_name("tiers") if body.has("tiers") else {}
    page = await simulate_policy(
        call.walk,
        documents,
        removed=removed,
        since=_number(body.text("since", chars_max=16)) if body.has("since") else 0,
        start=_number(body.text("start", chars_max=16)) if body.has("start") else 0,
        tiers={name: _number(tier) for name, tier in given.items()},
    )
    return {
        "start": page.start,
        "end": page.end,
        "size": page.size,
        "more": page.more,
        "policy_set": page.policy_set,
        "questions": _questions(page.questions),
        **_compared(page.tally, page.differences),
    }


def _questions(found: QuestionsCompared) -> JSONValue:
    """Return how many questions people were asked and would be asked."""
    sides: dict[str, JSONValue] = {
        side: {
            "count": asked.count,
            "tiers": {**asked.tiers},
            "rules": {**asked.rules},
            "groups": {**asked.groups},
        }
        for side, asked in (("before", found.before), ("after", found.after))
    }
    return {
        **sides,
        "tasks": found.tasks,
        "first_at": instant(UnixMillis(found.first_at)) if found.first_at else None,
        "last_at": instant(UnixMillis(found.last_at)) if found.last_at else None,
    }


def _compared(tally: Tally, differences: Iterable[Difference]) -> dict[str, JSONValue]:
    """Return the result of evaluating another policy set."""
    return {
        "asked": tally.asked,
        "same": tally.same,
        "changes": {**tally.changes},
        "by_policy": {**tally.by_policy},
        "untold": {**tally.untold},
        "unasked": {**tally.unasked},
        "differences": [difference_told(one) for one in differences],
    }


def difference_told(one: Difference) -> JSONValue:
    """Return one decision that would differ."""
    return {
        "index": one.was.index,
        "at": instant(one.was.at),
        "agent": one.was.agent,
        "capability": one.was.capability,
        "was": one.was.effect,
        "was_by": list(one.was.by),
        "now": one.now,
        "by": list(one.by),
        "reason": one.reason,
        "obligations": list(one.obligations),
    }


async def show_shadow(call: Call) -> Answer:
    """Return what the shadow set would have decided so far."""
    return _shadow(call)


async def put_shadow(call: Call) -> Answer:
    """Start policy sets as the shadow."""
    documents, removed = given_sets(call)
    await start_shadow(call.walk, documents, removed=removed, by=call.by)
    return _shadow(call)


async def drop_shadow(call: Call) -> Answer:
    """Stop the shadow; the answer has its last results."""
    told = _shadow(call)
    stop_shadow(call.walk)
    return {**told, "state": "stopped"}


def _shadow(call: Call) -> Answer:
    shadow = shadow_set(call.walk)
    if shadow is None:
        raise SHADOW_NONE()
    seen = shadow_seen(call.walk, shadow)
    return {
        "state": "fault" if seen.fault else "following",
        "fault": seen.fault,
        "policy_set": seen.policy_set,
        "since": instant(shadow.since),
        "by": shadow.by,
        "behind": max(0, call.walk.ledger.size - seen.read_to),
        **_compared(seen.tally, seen.differences),
    }


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise REQUEST_BODY(f"{shown(text)} is not a whole number")
    return int(text)


_OBJECT: Final[Schema] = {"type": "object"}
_COUNTS: Final = mapping(COUNT)
_DIFFERENCES: Final = sequence(
    record(
        {
            "index": COUNT,
            "at": INSTANT,
            "agent": TEXT,
            "capability": TEXT,
            "was": choice("allow", "deny", "defer"),
            "was_by": TEXTS,
            "now": choice("allow", "deny", "defer"),
            "by": TEXTS,
            "reason": TEXT,
            "obligations": TEXTS,
        }
    )
)
_ASKED: Final = record({"count": COUNT, "tiers": _COUNTS, "rules": _COUNTS, "groups": _COUNTS})
_QUESTIONS: Final = record(
    {
        "before": _ASKED,
        "after": _ASKED,
        "tasks": COUNT,
        "first_at": nullable(INSTANT),
        "last_at": nullable(INSTANT),
    }
)
_COMPARED: Final[dict[str, Schema]] = {
    "asked": COUNT,
    "same": COUNT,
    "changes": _COUNTS,
    "by_policy": _COUNTS,
    "untold": _COUNTS,
    "unasked": _COUNTS,
    "differences": _DIFFERENCES,
}
COMPONENTS: Final[dict[str, Schema]] = {
    "SimulationRequest": record(
        {
            "documents": sequence(_OBJECT),
            "removed": TEXTS,
            "since": TEXT,
            "start": TEXT,
            "tiers": mapping(TEXT),
        },
        optional=("removed", "since", "start", "tiers"),
    ),
    "SimulationPage": record(
        {
            "start": COUNT,
            "end": COUNT,
            "size": COUNT,
            "more": {"type": "boolean"},
            "policy_set": DIGEST,
            "questions": _QUESTIONS,
            **_COMPARED,
        }
    ),
    "PolicyShadow": record(
        {
            "state": choice("following", "fault", "stopped"),
            "fault": TEXT,
            "policy_set": TEXT,
            "since": INSTANT,
            "by": TEXT,
            "behind": COUNT,
            **_COMPARED,
        }
    ),
}
"""In addition to those of `schemas`."""

_PATH: Final = "/v1/policy"
OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        id="simulate_policy",
        method="POST",
        path=f"{_PATH}/simulate",
        summary="What policy sets would have decided of what is in the ledger, page by page; changes nothing",
        body="SimulationRequest",
        answer="SimulationPage",
        run=simulate,
    ),
    Operation(
        id="show_shadow",
        method="GET",
        path=f"{_PATH}/shadow",
        summary="What the policy set in the shadow would have decided otherwise",
        answer="PolicyShadow",
        run=show_shadow,
    ),
    Operation(
        id="start_shadow",
        method="POST",
        path=f"{_PATH}/shadow",
        summary="Put policy sets into the shadow, where they decide everything and do nothing",
        body="PolicySets",
        answer="PolicyShadow",
        run=put_shadow,
    ),
    Operation(
        id="stop_shadow",
        method="POST",
        path=f"{_PATH}/shadow/stop",
        summary="Take the policy set out of the shadow",
        body="Nothing",
        answer="PolicyShadow",
        run=drop_shadow,
    ),
)
