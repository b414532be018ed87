"""Whether a mandate still stands: its agent, use case, issuer and the key it was signed with are as they must be.

Asked when a mandate is issued and again at every action, so that a stolen key or a lost role ends what was built on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.identity.compact_jws import read_compact
from answerable.core.mandate.token import audience_of
from answerable.errors import Malformed, Refused, shown

if TYPE_CHECKING:
    from answerable.core.identity.keys import PublicKey
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.snapshot import RegistrySnapshot
    from answerable.flows.walk import Walk


def standing_fault(mandate: Mandate, current: RegistrySnapshot) -> Refused | None:
    """Why the mandate does not stand, or None: `mandate.agent_inactive`, `mandate.use_case`, `mandate.not_an_issuer`,
    `mandate.issuer_key`."""
    agent = current.agents.get(mandate.agent)
    if agent is None or agent.status != "active":
        return Refused(f"agent {shown(mandate.agent)} is not active", code="mandate.agent_inactive")
    use_case = current.use_cases.get(mandate.use_case)
    if use_case is None or agent.use_case != mandate.use_case:
        return Refused(
            f"agent {shown(mandate.agent)} does not serve use case {shown(mandate.use_case)}",
            code="mandate.use_case",
        )
    issuer = current.principals.get(mandate.principal)
    owners = (use_case.ownership.owner, use_case.ownership.backup_owner)
    if issuer is None or (issuer.name not in owners and not set(issuer.groups) & set(use_case.issuers)):
        return Refused(
            f"{mandate.principal} may not issue mandates for use case {shown(mandate.use_case)}: ask its owner, or be "
            "in one of its issuer groups",
            code="mandate.not_an_issuer",
        )
    if not is_signed_by(mandate.token, issuer.keys):
        return Refused(
            f"the key that signed this mandate is no longer {mandate.principal}'s: ask for a new mandate",
            code="mandate.issuer_key",
        )
    return None


def shard_fault(mandate: Mandate, origin: str) -> Refused | None:
    """Why the mandate cannot be used where the log is called `origin`, or None: `mandate.other_shard`.

    Its budget is counted in one log alone, the one that it was signed for. Another process may know it too, as both
    read the same registers, and would count anew.
    """
    shard = shard_elsewhere(mandate, origin)
    if shard is None:
        return None
    return Refused(
        f"mandate {shown(mandate.id)} is for {shown(shard)}, this is {shown(origin)}: use it there, or ask for one for "
        "here",
        code="mandate.other_shard",
    )


def shard_elsewhere(mandate: Mandate, origin: str) -> str | None:
    """Which log the mandate is for, if it is another than the one called `origin`."""
    try:
        audience = audience_of(mandate.token)
    except Malformed:
        return ""
    return None if audience == origin else audience


def still_stands(walk: Walk, mandate: Mandate) -> None:
    """Raises Refused as `shard_fault` and `standing_fault` say; asked once for each mandate and registry."""
    current = walk.registry.current
    if walk.standing_of is not current:
        walk.standing_of, walk.standing = current, {}
    if mandate.id not in walk.standing:
        walk.standing[mandate.id] = shard_fault(mandate, walk.ledger.origin) or standing_fault(
            mandate, current
        )
    fault = walk.standing[mandate.id]
    if fault is not None:
        raise Refused(fault.message, code=fault.code)


def is_signed_by(token: str, keys: tuple[PublicKey, ...]) -> bool:
    """Whether a statement, verified when it was taken in, names one of these keys as its own."""
    try:
        kid = read_compact(token, step="statement").header.get("kid")
    except Malformed:
        return False
    return any(key.thumbprint == kid for key in keys)
