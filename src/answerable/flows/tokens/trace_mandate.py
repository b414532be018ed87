"""Say what of a mandate, and of everything delegated below it, is valid now and what has ended.

The registers state what is in force now; what was done where is told from the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio.lowlevel

from answerable.core.containment.hold import described as hold_described
from answerable.core.containment.reach import reach_of
from answerable.core.identity.names.principal import AgentId
from answerable.core.mandate import delegation_terms
from answerable.core.mandate.hop_token import consent_in
from answerable.core.mandate.revocation import RevocationTarget, described, hop_names, instance_names
from answerable.flows.validity.mandate_validity import fallen
from answerable.flows.validity.refuse_revoked import agent_names, mandate_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.incident.handed_on import TracedHop
    from answerable.core.incident.mandate_tree import Branch
    from answerable.core.mandate.mandate import Mandate
    from answerable.flows.state.parts import AuthorityRegisters


MANDATE_STATES: Final = ("open", "held", "fallen", "closed", "revoked", "expired", "not_yet", "spent")
"""`fallen`: its giver may no longer give it, or its agent is not active."""
MANDATES_PER_TURN: Final = 64


def mandate_state(authority: AuthorityRegisters, mandate: Mandate) -> tuple[str, str]:
    """Return one of `MANDATE_STATES` as of now, and if held or fallen, the reason in words. Raises Unavailable."""
    now, names = authority.clock.now(), mandate_names(authority, mandate)
    if authority.mandates.state(mandate.id) == "closed":
        return "closed", ""
    if authority.revocations.find(names) is not None:
        return "revoked", ""
    if now >= mandate.expires_at:
        return "expired", ""
    if (fault := fallen(authority, mandate)) is not None:
        return "fallen", fault.message
    if held := held_under(authority, names, now):
        return "held", held
    if now < mandate.not_before:
        return "not_yet", ""
    return ("spent" if authority.mandates.calls_used(mandate.id) >= mandate.calls_max else "open"), ""


async def mandates_in(
    authority: AuthorityRegisters, *states: str, agent: AgentId | None = None
) -> list[Mandate]:
    """Return the mandates in one of these states now, of all agents or of one, newest first.

    Yields to other tasks, because there may be thousands. Raises Unavailable.
    """
    found = []
    for number, mandate in enumerate(list(authority.mandates.all()), 1):
        if (agent is None or mandate.agent == agent) and mandate_state(authority, mandate)[0] in states:
            found.append(mandate)
        if number % MANDATES_PER_TURN == 0:
            await anyio.lowlevel.checkpoint()
    return found


def hop_states(
    authority: AuthorityRegisters, branches: Sequence[Branch], now: UnixMillis
) -> Mapping[str, tuple[str, str]]:
    """Return by hop name `open`, `held`, `revoked` or `expired`, and what was held or revoked, in words.

    `branches`: parents first, because what ends or holds a hop also ends or holds everything below it. Raises
    Unavailable.
    """
    states: dict[str, tuple[str, str]] = {}
    for branch in branches:
        above = states.get(branch.above.name) if branch.above is not None else None
        if above is not None and above[0] == "revoked":
            states[branch.hop.name] = above
            continue
        names = _names(authority, branch.hop)
        revocation = authority.revocations.find(names)
        if revocation is not None:
            states[branch.hop.name] = ("revoked", described(revocation.what))
        elif now >= branch.hop.expires_at or (above is not None and above[0] == "expired"):
            states[branch.hop.name] = ("expired", "")
        elif above is not None and above[0] == "held":
            states[branch.hop.name] = above
        else:
            held = held_under(authority, names, now)
            states[branch.hop.name] = ("held", held) if held else ("open", "")
    return states


def held_under(authority: AuthorityRegisters, names: Iterable[RevocationTarget], now: UnixMillis) -> str:
    """Return the hold on what acts under these names, in words with its id; empty for none. Raises Unavailable."""
    hold = authority.holds.find(reach_of(names, authority.registry.current), now)
    return f"{hold_described(hold.what)}, hold {hold.id}" if hold is not None else ""


def _names(authority: AuthorityRegisters, hop: TracedHop) -> tuple[RevocationTarget, ...]:
    """As `names_of_hop`, as far as the token can be read."""
    names = [RevocationTarget("token", hop.jti), *agent_names(authority, AgentId(hop.agent))]
    if hop.said is not None:
        claims = hop.said.raw.claims
        consent = consent_in(hop.said)
        names += hop_names(jti=hop.jti, par_hash=hop.said.raw.hash)
        names += [RevocationTarget("hop", consent.hash)] if consent is not None else []
        names += [
            RevocationTarget("key", hop.said.confirmation.thumbprint),
            RevocationTarget("manifest", str(claims.get(delegation_terms.MANIFEST) or "")),
        ]
        names += instance_names(str(claims.get(delegation_terms.INSTANCE) or ""))
    return tuple(one for one in names if one.name)
