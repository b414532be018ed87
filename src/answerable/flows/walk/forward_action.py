"""Forward an action to the process (shard) that owns its mandate, which alone counts the mandate's budget.

The process that received the bytes has checked the proof over them. It forwards the frozen action, the agent's claims
and the proved caller together. The owner decides, records and performs, and its answer is returned.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.mandate import MandateId
from answerable.errors import Refused
from answerable.errors.codes.tlog import PROOF_OTHER_MESSAGE
from answerable.flows.validity.mandate_validity import shard_elsewhere
from answerable.flows.validity.verify_lineage import is_held_by, verified_claim
from answerable.flows.walk.govern_action import govern_action

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.ledger.answer import Answer
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess, Recorder
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.flows.state.worlds import Verification
    from answerable.ports.clock import Clock
    from answerable.ports.ledger import Ledger
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.shard_link import ShardLink
    from answerable.ports.upstream import Progress

OWNERS_MAX: Final = 10_000
"""Mandates whose owner is cached; when full, the cache is cleared."""


async def forward_action(
    recorder: Recorder,
    planning: Planning,
    deciding: Deciding,
    live: LiveAccess,
    request: ActionRequest,
    caller: VerifiedCaller,
    *,
    progress: Progress | None = None,
) -> Answer:
    """Govern an action in this process, or forward it to the owner of its mandate. Sends once; never retries.

    Raises as `govern_action` does, and Unavailable (`shard.*`), which says whether an effect is possible.
    """
    owner = _owner_elsewhere(
        recorder.ledger, planning.authority, live.link, planning.verification, request, caller
    )
    if owner is None or live.link is None:
        return await govern_action(recorder, planning, deciding, live, request, caller, progress=progress)
    if not hmac.compare_digest(request.message_digest, caller.message_digest):
        raise PROOF_OTHER_MESSAGE()
    # From this line on, this process knows nothing of the action until the answer arrives.
    return await live.link.forward(owner, request, caller, progress=progress)


def _owner_elsewhere(
    ledger: Ledger,
    authority: AuthorityRegisters,
    link: ShardLink | None,
    verification: Verification,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> str | None:
    """Return the log origin of the process to forward to; None if this process governs, or refuses and records."""
    mandate = _mandate_of(authority.mandates, verification, authority.clock, request, caller)
    if mandate is None:
        return None
    owner = authority.owners.get(mandate.id)
    if owner is None:
        if len(authority.owners) >= OWNERS_MAX:
            authority.owners.clear()
        owner = authority.owners[mandate.id] = shard_elsewhere(mandate, ledger.origin) or ""
    return owner if owner and link is not None and link.reaches(owner) else None


def _mandate_of(
    mandates: MandateRegister,
    verification: Verification,
    clock: Clock,
    request: ActionRequest,
    caller: VerifiedCaller,
) -> Mandate | None:
    """Return the root mandate the caller acts under, if this process knows it; None if the request will be refused."""
    if not request.delegation:
        mandate = mandates.find(MandateId(request.mandate_id))
        return mandate if mandate is not None and mandate.agent == caller.agent else None
    try:
        chain = verified_claim(verification, request.delegation, clock.now())
    except Refused:
        return None
    mission = chain.root.mission
    if mission is None or not is_held_by(chain.leaf, caller):
        return None
    return mandates.find(MandateId(mission.id))
