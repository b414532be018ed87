"""Writing down that an action was not allowed, and saying so to the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.decision.decision import Reason
from answerable.core.ledger import records
from answerable.core.ledger.entry import SALT_BYTES
from answerable.errors import Refused, Unavailable
from answerable.flows.record_entry import record_entry

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.decision.decision import Decision
    from answerable.core.identity.caller import VerifiedCaller
    from answerable.flows.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class No:
    """Why not. code is stable; reasons: one at least; determined_by names policies or rules."""

    code: str
    reasons: tuple[Reason, ...]
    determined_by: tuple[str, ...] = ()
    capability: str = ""


def no_from(refused: Refused, *, capability: str = "") -> No:
    """The refusal of a verified principal by one of our own rules, ready to be recorded."""
    reasons = tuple(Reason(source=refused.code, text=text) for text in refused.reasons)
    return No(code=refused.code, reasons=reasons, determined_by=(refused.code,), capability=capability)


def no_of(decision: Decision, *, capability: str) -> No:
    """A deny decision, ready to be recorded."""
    reasons = decision.reasons or (Reason(source="policy.unexplained", text="policy gave no reason"),)
    return No(
        code=reasons[0].source, reasons=reasons, determined_by=decision.determined_by, capability=capability
    )


async def refuse_action(walk: Walk, request: ActionRequest, caller: VerifiedCaller, no: No) -> Refused:
    """Record the refusal durably, within the agent's quota, and return the error to raise.

    Past the quota the refusal is counted and gets no entry of its own (`entry_index` None). A caller who leaves does
    not get away unrecorded. Raises Unavailable when the ledger takes nothing: the action is not done in that case
    either, and its refusal is counted.
    """
    now = walk.clock.now()
    index: int | None = None
    if walk.quota.take(caller.agent, now):
        entry = records.refusal(
            request,
            caller,
            at=now,
            salt=walk.entropy.bytes(SALT_BYTES),
            action_id=walk.entropy.token(),
            code=no.code,
            reasons=no.reasons,
            determined_by=no.determined_by,
            policy_set=walk.decision_point.policy_set,
            capability=no.capability,
        )
        try:
            receipt, left = await record_entry(walk.ledger, entry)
        except Unavailable as failed:
            walk.quota.lost(caller.agent)
            raise Unavailable(failed.message, code=failed.code, port=failed.port) from failed
        if left is not None:
            raise left
        index = receipt.index
    texts = tuple(reason.text for reason in no.reasons)
    return Refused(f"not allowed: {texts[0]}", code=no.code, reasons=texts, entry_index=index)
