"""Gather facts, decide an action, and narrow its arguments if policy requires it (steps 3 and 4). No await in between.

An action that policy narrows is a different action: its arguments are verified again, its facts are gathered again, and
it is decided again, the mandate before the policies. This happens once. A second narrowing is refused, because the
policies then do not agree on a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.request import narrowed_request
from answerable.core.decision.decision import after_narrowing
from answerable.core.decision.narrowing import narrowed_arguments, same
from answerable.core.decision.obligation import NO_DUTIES, duties_of
from answerable.core.registry.documents.pointing import with_changed
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.policy import OBLIGATION_SECOND_NARROWING, OBLIGATION_UNFULFILLABLE
from answerable.flows.walk.hide_tokens import check_tokens
from answerable.flows.walk.verify_request import verify_request

if TYPE_CHECKING:
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.core.decision.obligation import Duties
    from answerable.flows.counters.watch_rules import Gather
    from answerable.flows.state.parts import Recorder
    from answerable.flows.state.steps import Deciding, Planning


def decide_action(
    recorder: Recorder, planning: Planning, deciding: Deciding, asked: VerifiedRequest, gather: Gather
) -> tuple[VerifiedRequest, Facts, Decision]:
    """Return the action as it may be performed, the facts, and the decision on it.

    `gather`: step 3, called once for each verified request.

    An allow or a defer is returned only if every obligation is known and can be fulfilled. Raises Refused as `gather`
    and `verify_request` do, `arguments.token`, and `obligation.unknown`, `obligation.conflict`,
    `obligation.unfulfillable`, `obligation.second_narrowing`.
    """
    clock = recorder.clock
    began = clock.monotonic()
    try:
        facts = gather(recorder, planning.authority, deciding, asked)
        decision = deciding.policies.decision_point.decide(asked, facts)
        if decision.effect == "deny":
            return asked, facts, decision
        check_tokens(asked)
        if not decision.obligations:
            return asked, facts, decision
        return _obliged(recorder, planning, deciding, asked, facts, decision, gather)
    finally:
        deciding.asking.figures.latency.observe(clock.monotonic() - began)


def _obliged(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    asked: VerifiedRequest,
    facts: Facts,
    decision: Decision,
    gather: Gather,
) -> tuple[VerifiedRequest, Facts, Decision]:
    """Narrow the action as its obligations say and decide it again. Raises as `decide_action`."""
    verified = asked
    narrower = _narrowed(recorder, planning, deciding, asked, duties_in_force(decision))
    if narrower is not None:
        verified, wider = narrower, decision
        facts = gather(recorder, planning.authority, deciding, verified)
        decision = deciding.policies.decision_point.decide(verified, facts)
        if decision.effect == "deny":
            return verified, facts, decision
        check_tokens(verified)
        decision = after_narrowing(wider, decision, facts.approval)
        if _narrowed(recorder, planning, deciding, verified, duties_in_force(decision)) is not None:
            raise OBLIGATION_SECOND_NARROWING()
    if duties_in_force(decision).witnessed and recorder.witness is None:
        raise OBLIGATION_UNFULFILLABLE(
            "policy requires a witness before the action, and no witness is configured for this log"
        )
    return verified, facts, decision


def duties_in_force(decision: Decision) -> Duties:
    """Return the duties that the decision's obligations combine to.

    Raises Refused (`obligation.unknown`, `obligation.conflict`).
    """
    if not decision.obligations and decision.wider is None:
        return NO_DUTIES
    try:
        return duties_of(decision.all_obligations)
    except Malformed as fault:
        raise Refused(fault.message, code=fault.code) from None


def _narrowed(
    recorder: Recorder, planning: Planning, deciding: Deciding, verified: VerifiedRequest, duties: Duties
) -> VerifiedRequest | None:
    """Return the action with narrowed arguments; None if they are narrow enough already."""
    if not duties.narrow:
        return None
    before = verified.arguments
    narrowed = narrowed_arguments(duties.narrow, before)
    changed = {
        name: value for name, value in narrowed.items() if name not in before or not same(value, before[name])
    }
    if not changed:
        return None
    # A policy argument name may point deep into the tool's arguments. Change only the value it points to.
    arguments = with_changed(verified.resolved.capability.arguments, verified.request.arguments, changed)
    if arguments is None:
        named = ", ".join(shown(name) for name in sorted(changed))
        raise OBLIGATION_UNFULFILLABLE(
            f"policy narrows {named}, which is in a list or was left out: send a value that policy allows"
        )
    return verify_request(
        planning,
        deciding.counters.quota,
        recorder.ledger,
        deciding.asking.limits,
        narrowed_request(verified.request, arguments),
        verified.caller,
    )
