"""Whichever process an action reaches, it is governed by the one that owns its mandate, which alone counts its budget.

The proof was checked here, over the bytes that arrived here. The frozen action, the agent's claims and who was proved
go on as a whole; the owner decides, records and performs, and its answer is handed back.
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
    from answerable.flows.state.walk import Walk
    from answerable.ports.upstream import Progress

OWNERS_MAX: Final = 10_000
"""Mandates whose owner is kept in mind; past that all are looked up again."""


async def forward_action(
    walk: Walk, request: ActionRequest, caller: VerifiedCaller, *, progress: Progress | None = None
) -> Answer:
    """Govern an action here, or send it on to the process that owns its mandate; once, and nothing is tried again.

    Raises as `govern_action` does, and Unavailable (`shard.*`), which says whether an effect is possible.
    """
    owner = _owner_elsewhere(walk, request, caller)
    if owner is None or walk.link is None:
        return await govern_action(walk, request, caller, progress=progress)
    if not hmac.compare_digest(request.message_digest, caller.message_digest):
        raise PROOF_OTHER_MESSAGE()
    # From here on nothing is known here of what happens until the answer is there.
    return await walk.link.forward(owner, request, caller, progress=progress)


def _owner_elsewhere(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> str | None:
    """The log of the process that this goes to; None where it is ours, or is refused and recorded here."""
    mandate = _mandate_of(walk, request, caller)
    if mandate is None:
        return None
    owner = walk.owners.get(mandate.id)
    if owner is None:
        if len(walk.owners) >= OWNERS_MAX:
            walk.owners.clear()
        owner = walk.owners[mandate.id] = shard_elsewhere(mandate, walk.ledger.origin) or ""
    return owner if owner and walk.link is not None and walk.link.reaches(owner) else None


def _mandate_of(walk: Walk, request: ActionRequest, caller: VerifiedCaller) -> Mandate | None:
    """The mandate at the root of what this caller acts under, as far as it is known here; None for what is refused."""
    if not request.delegation:
        mandate = walk.mandates.find(MandateId(request.mandate_id))
        return mandate if mandate is not None and mandate.agent == caller.agent else None
    try:
        chain = verified_claim(walk, request.delegation, walk.clock.now())
    except Refused:
        return None
    mission = chain.root.mission
    if mission is None or not is_held_by(chain.leaf, caller):
        return None
    return walk.mandates.find(MandateId(mission.id))
