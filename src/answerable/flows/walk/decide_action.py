"""Steps 3 and 4 of the walk as one, without an await: what is true, what is decided, and narrowed if that is asked.

An action that policy narrows is another one: its arguments are checked again, facts are gathered again, and it is
decided again, with the mandate before the policies as ever. That happens once: a second narrowing is refused, for then
no two policies agree on how much is little enough.
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
    from collections.abc import Callable

    from answerable.core.action.request import VerifiedRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.decision.facts import Facts
    from answerable.core.decision.obligation import Duties
    from answerable.flows.state.walk import Walk


def decide_action(
    walk: Walk, asked: VerifiedRequest, gather: Callable[[Walk, VerifiedRequest], Facts]
) -> tuple[VerifiedRequest, Facts, Decision]:
    """The action as it may be done, what was true, and the decision about it. gather: step 3.

    An allow or a question for people comes back only where every obligation is understood and can be kept. Raises
    Refused as `gather` and `verify_request` do, `arguments.token`, and `obligation.unknown`, `obligation.conflict`,
    `obligation.unfulfillable`, `obligation.second_narrowing`.
    """
    began = walk.clock.monotonic()
    try:
        return _decided(walk, asked, gather)
    finally:
        walk.figures.latency.observe(walk.clock.monotonic() - began)


def _decided(
    walk: Walk, asked: VerifiedRequest, gather: Callable[[Walk, VerifiedRequest], Facts]
) -> tuple[VerifiedRequest, Facts, Decision]:
    facts = gather(walk, asked)
    decision = walk.decision_point.decide(asked, facts)
    if decision.effect == "deny":
        return asked, facts, decision
    check_tokens(asked)
    if not decision.obligations:
        return asked, facts, decision
    verified = asked
    narrower = _narrowed(walk, asked, duties_in_force(decision))
    if narrower is not None:
        verified, wider = narrower, decision
        facts = gather(walk, verified)
        decision = walk.decision_point.decide(verified, facts)
        if decision.effect == "deny":
            return verified, facts, decision
        check_tokens(verified)
        decision = after_narrowing(wider, decision, facts.approval)
        if _narrowed(walk, verified, duties_in_force(decision)) is not None:
            raise OBLIGATION_SECOND_NARROWING()
    if duties_in_force(decision).witnessed and walk.witness is None:
        raise OBLIGATION_UNFULFILLABLE(
            "policy wants witnesses to have seen this before it is done, and no witness is set up for this log"
        )
    return verified, facts, decision


def duties_in_force(decision: Decision) -> Duties:
    """What its obligations come to. Raises Refused (`obligation.unknown`, `obligation.conflict`)."""
    obligations = decision.all_obligations
    if not obligations:
        return NO_DUTIES
    try:
        return duties_of(obligations)
    except Malformed as fault:
        raise Refused(fault.message, code=fault.code) from None


def _narrowed(walk: Walk, verified: VerifiedRequest, duties: Duties) -> VerifiedRequest | None:
    """The action with narrower arguments; None where they are narrow enough."""
    if not duties.narrow:
        return None
    before = verified.arguments
    narrowed = narrowed_arguments(duties.narrow, before)
    changed = {
        name: value for name, value in narrowed.items() if name not in before or not same(value, before[name])
    }
    if not changed:
        return None
    # What policy calls by a name may lie deep in what the tool takes, and nothing but that is changed there.
    arguments = with_changed(verified.resolved.capability.arguments, verified.request.arguments, changed)
    if arguments is None:
        named = ", ".join(shown(name) for name in sorted(changed))
        raise OBLIGATION_UNFULFILLABLE(
            f"policy narrows {named}, which lies in a list or in what was left out: ask for it so that it is allowed"
        )
    return verify_request(walk, narrowed_request(verified.request, arguments), verified.caller)
