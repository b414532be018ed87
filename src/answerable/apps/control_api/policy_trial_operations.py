"""Try policy sets: simulate them on the ledger, or evaluate them as a shadow beside the sets in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from answerable.api import policy_trial_answers as answers
from answerable.api.members import Nothing
from answerable.api.policy_answers import PolicySets
from answerable.apps.control_api.call import instant
from answerable.apps.control_api.operation import Operation, operation
from answerable.apps.control_api.policy_operations import given_sets
from answerable.core.decision.compared import Tally
from answerable.core.identity.names.principal import UnixMillis
from answerable.errors import shown
from answerable.errors.codes.policy import SHADOW_NONE
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.policy.shadow_policy import (
    shadow_elsewhere,
    shadow_seen,
    shadow_set,
    start_shadow,
    stop_shadow,
)
from answerable.flows.policy.simulate_policy import simulate_policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.apps.control_api.call import Call
    from answerable.core.decision.asked_of_people import Questions, QuestionsCompared
    from answerable.core.decision.compared import Difference


@operation(
    "POST",
    "/v1/policy/simulate",
    id="simulate_policy",
    summary="What policy sets would have decided of what is in the ledger, page by page; changes nothing",
    answer=answers.SimulationPage,
    body=answers.SimulationRequest,
)
async def simulate(call: Call) -> answers.SimulationPage:
    """Return one page of what policy sets would have decided."""
    documents, removed = given_sets(call, "since", "start", "log", "tiers")
    body = call.members("documents", "removed", "since", "start", "log", "tiers")
    given = body.texts_by_name("tiers") if body.has("tiers") else {}
    log = body.text("log", chars_max=256) if body.has("log") else ""
    page = await simulate_policy(
        call.product.searches,
        call.walk.authority.registry,
        call.walk.policies,
        call.walk.drills,
        call.walk.limits,
        call.walk.recorder.clock,
        documents,
        removed=removed,
        since=_number(body.text("since", chars_max=16)) if body.has("since") else 0,
        start=_number(body.text("start", chars_max=16)) if body.has("start") else None,
        log=log,
        tiers={name: _number(tier) for name, tier in given.items()},
    )
    return answers.SimulationPage(
        start=page.start,
        end=page.end,
        size=page.size,
        more=page.end < page.size,
        policy_set=page.policy_set,
        questions=_questions(page.questions),
        others=page.others,
        **_compared(page.tally, page.differences, log),
    )


def _questions(found: QuestionsCompared) -> answers.QuestionCounts:
    """Return how many questions people were asked and would be asked."""
    return answers.QuestionCounts(
        before=_asked(found.before),
        after=_asked(found.after),
        tasks=found.tasks,
        first_at=instant(UnixMillis(found.first_at)) if found.first_at else None,
        last_at=instant(UnixMillis(found.last_at)) if found.last_at else None,
    )


def _asked(asked: Questions) -> answers.AskedCounts:
    return answers.AskedCounts(
        count=asked.count, tiers={**asked.tiers}, rules={**asked.rules}, groups={**asked.groups}
    )


def _compared(tally: Tally, differences: Iterable[Difference], shard: str = "") -> dict[str, Any]:
    """Return the members that both answers have of the result of evaluating another policy set."""
    return {
        "asked": tally.asked,
        "same": tally.same,
        "changes": {**tally.changes},
        "by_policy": {**tally.by_policy},
        "untold": {**tally.untold},
        "unasked": {**tally.unasked},
        "differences": tuple(_difference(one, shard) for one in differences),
    }


def _difference(one: Difference, shard: str) -> answers.DecisionDifference:
    """Return one decision that would differ."""
    return answers.DecisionDifference(
        index=one.was.index,
        at=instant(one.was.at),
        agent=one.was.agent,
        capability=one.was.capability,
        was=one.was.effect,
        was_by=tuple(one.was.by),
        now=one.now,
        by=tuple(one.by),
        reason=one.reason,
        obligations=tuple(one.obligations),
        shard=shard,
    )


@operation(
    "GET",
    "/v1/policy/shadow",
    id="show_shadow",
    summary="What the policy set in the shadow would have decided otherwise",
    answer=answers.PolicyShadow,
)
async def show_shadow(call: Call) -> answers.PolicyShadow:
    """Return what the shadow set would have decided so far."""
    return _shadow(call)


@operation(
    "POST",
    "/v1/policy/shadow",
    id="start_shadow",
    summary="Put policy sets into the shadow, where they decide everything and do nothing",
    answer=answers.PolicyShadow,
    body=PolicySets,
)
async def put_shadow(call: Call) -> answers.PolicyShadow:
    """Start policy sets as the shadow."""
    documents, removed = given_sets(call)
    await start_shadow(
        call.walk.recorder.ledger,
        call.walk.authority.registry,
        call.walk.policies,
        call.walk.drills,
        call.walk.limits,
        call.walk.clock,
        call.walk.entropy,
        documents,
        removed=removed,
        by=call.by,
    )
    return _shadow(call)


@operation(
    "POST",
    "/v1/policy/shadow/stop",
    id="stop_shadow",
    summary="Take the policy set out of the shadow",
    answer=answers.PolicyShadow,
    body=Nothing,
)
async def drop_shadow(call: Call) -> answers.PolicyShadow:
    """Stop the shadow; the answer has its last results."""
    told = _shadow(call)
    stop_shadow(call.walk.policies)
    return structs.replace(told, state="stopped")


def _shadow(call: Call) -> answers.PolicyShadow:
    shadow = shadow_set(call.walk.policies)
    if shadow is None:
        raise SHADOW_NONE()
    ledger, link = call.walk.recorder.ledger, call.walk.live.link
    own = shadow_seen(ledger, call.walk.policies, shadow)
    others = shadow_elsewhere(call.walk.policies, shadow, link.others() if link is not None else ())
    logs = [(origin, seen) for origin, seen in others.items() if seen is not None]
    sizes = {one.origin: one.size for one in call.product.shard_states()} | {ledger.origin: ledger.size}
    tally = Tally()
    for _, seen in (both := [(ledger.origin, own), *logs]):
        tally.merge(seen.tally)
    fault = own.fault or next((f"shard {_name(log)}: {seen.fault}" for log, seen in logs if seen.fault), "")
    told = _compared(tally, own.differences)
    more = [_difference(one, _name(log)) for log, seen in logs for one in seen.differences]
    return answers.PolicyShadow(
        state="fault" if fault else "following",
        fault=fault,
        policy_set=own.policy_set,
        since=instant(shadow.since),
        by=shadow.by,
        behind=sum(max(0, sizes.get(log, 0) - seen.read_to) for log, seen in both),
        not_counted=tuple(_name(log) for log, seen in others.items() if seen is None),
        **told | {"differences": tuple(sorted((*told["differences"], *more), key=lambda one: one.at))},
    )


def _name(origin: str) -> str:
    """Return the name of a shard by that of its log."""
    return origin.rpartition("/")[2]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise REQUEST_BODY(f"{shown(text)} is not a whole number")
    return int(text)


OPERATIONS: Final[tuple[Operation, ...]] = (
    simulate,
    show_shadow,
    put_shadow,
    drop_shadow,
)
