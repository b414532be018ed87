"""Registering a mandate that a principal signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.ledger import records
from answerable.core.ledger.leaves import Reference
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate.token import verify_mandate
from answerable.errors import Malformed, Refused, shown
from answerable.flows.mandate_standing import standing_fault
from answerable.flows.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.refuse_revoked import mandate_names

if TYPE_CHECKING:
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot import RegistrySnapshot
    from answerable.flows.walk import Walk


async def issue_mandate(walk: Walk, token: str) -> Mandate:
    """Verify a signed mandate against the registry, record it and put it into force.

    Raises Unverified when the signature or its claims do not check; Refused (`mandate.agent_inactive`,
    `mandate.use_case`, `mandate.capability_unknown`, `mandate.expired`, `mandate.not_an_issuer`, `revoked.*`);
    Malformed (`mandate.duplicate`, `caveat.*`, `mandate.malformed`); Unavailable.
    """
    current = walk.registry.current
    mandate = verify_mandate(
        token,
        audience=walk.ledger.origin,
        keys_of=lambda name: current.principals[name].keys if name in current.principals else (),
    )
    _check_against_registry(mandate, current)
    revocation = walk.revocations.find(mandate_names(walk, mandate))
    if revocation is not None:
        raise revocation.refusal()
    now = walk.clock.now()
    if now >= mandate.expires_at:
        raise Refused("the mandate has already expired", code="mandate.expired")
    issuing = walk.under_way.issuing
    if mandate.id in issuing or walk.mandates.find(mandate.id) is not None:
        raise Malformed(f"there is a mandate {shown(mandate.id)} already", code="mandate.duplicate")
    issuing.add(mandate.id)
    try:
        # 1. In the ledger first. A crash after this line: recorded, never in force; the principal signs again.
        entry = records.mandate_issued(
            mandate,
            at=now,
            sealing=sealing_for(walk, principal_subject(mandate.principal)),
            principal=pseudonym_of(walk, mandate.principal),
        )
        receipt, left = await record_entry(walk, entry)
        # 2. In force.
        place = Reference(entry=receipt.index, leaf=receipt.leaf_hash.hex(), log=walk.ledger.origin)
        walk.mandates.add(mandate, issued=place)
    finally:
        issuing.discard(mandate.id)
    if left is not None:
        raise left
    return mandate


def _check_against_registry(mandate: Mandate, current: RegistrySnapshot) -> None:
    fault = standing_fault(mandate, current)
    if fault is not None:
        raise fault
    for grant in mandate.grants:
        if grant.capability not in current.capabilities:
            raise Refused(
                f"capability {shown(grant.capability)} is not active", code="mandate.capability_unknown"
            )
