"""Exchange a mandate, or a token delegated to an agent, for a token of the agent's own (RFC 8693).

Two separate questions: may this agent act under that parent at all, and may it have this much. The token is within
mandate, hops, consent and request, bound to a key proved with the request, and in the ledger before the client gets it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio.to_thread
import msgspec

from answerable.core.canonical import Limits, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.names.spiffe_id import SCHEME
from answerable.core.mandate import delegation_terms, oauth_terms
from answerable.core.mandate.attenuation import meet
from answerable.core.mandate.authority import Authority, authority_in, detail_of
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.delegation_lineage import hop_limits
from answerable.core.mandate.hop_signing import HopTerms, issue_hop, issue_root, lies_within
from answerable.core.mandate.hop_token import Confirmation, Mission
from answerable.core.mandate.issued_token import IssuedToken
from answerable.core.mandate.mission import authority_hash
from answerable.core.mandate.revocation import RevocationTarget, instance_names
from answerable.core.mandate.scope import covers
from answerable.core.mandate.token_life import SINGLE_USE_TIER, tier_of
from answerable.errors import Malformed, Refused, shown
from answerable.errors.codes.mandate import (
    DELEGATION_DEPTH_INVALID_REFUSED,
    DELEGATION_EXPIRED_REFUSED,
    DELEGATION_RECEIVER,
    MANDATE_CLOSED,
    MANDATE_EXPIRED,
)
from answerable.errors.codes.registry import AGENT_DRIFTED, AGENT_INACTIVE, CAPABILITY_CEILING
from answerable.errors.codes.tokens import (
    OAUTH_INVALID_AUTHORIZATION_DETAILS,
    OAUTH_INVALID_AUTHORIZATION_DETAILS_REFUSED,
    OAUTH_INVALID_REQUEST,
    OAUTH_INVALID_SCOPE,
    OAUTH_INVALID_TARGET,
    OAUTH_INVALID_TARGET_REFUSED,
)
from answerable.flows.entries.cite_statement import cite_consent, cite_hop
from answerable.flows.tokens.find_parent import Exchange, Parent, confirmation_for, parent_of
from answerable.flows.validity.mandate_validity import giver_fault
from answerable.flows.validity.refuse_revoked import (
    agent_names,
    mandate_names,
    names_in_hop,
    names_of_hop,
    present,
    refuse_names,
)
from answerable.flows.validity.verify_lineage import check_width
from answerable.flows.walk.pin_tools import tier_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.leaves import Reference
    from answerable.core.mandate.delegation_chain import Chain, Hop
    from answerable.core.mandate.issued_token import StatusPlace
    from answerable.core.mandate.mandate import Mandate
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.flows.state.token_desk import TokenState
    from answerable.flows.tokens.authenticate_client import TokenClient
    from answerable.ports.worlds import Epoch

Present: TypeAlias = "tuple[Epoch, int, int, RegistrySnapshot]"
DETAILS_BYTES_MAX: Final = 65_536
JTI_BYTES: Final = 16


class Granted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The issued token. `chain`: all hops, root first, as the gateway accepts them. `by_dpop`: it needs DPoP proofs."""

    token: str
    chain: str
    expires_in: int
    scopes: tuple[str, ...]
    authorization_details: list[JSONValue]
    by_dpop: bool


async def exchange_token(desk: TokenState, client: TokenClient, wanted: Exchange) -> Granted:
    """Issue a token for this client. Raises Malformed (`oauth.*`), Unverified, Refused, Unavailable."""
    _check_form(wanted)
    # Read the epoch first: a later revocation belongs to another epoch and is checked again.
    epoch = present(desk.authority, desk.verification.worlds)
    now = desk.recorder.clock.now()
    confirmation = confirmation_for(desk, client, wanted.key, now)
    parent = parent_of(desk, client, wanted, confirmation, now)
    agent = _may_act(desk, client, parent)
    authority = _may_have(desk, client, parent, wanted)
    # The register admits each concurrent receiver separately; it writes to disk, so use a thread.
    agents = [*(hop.agent for hop in parent.hops), agent.name]
    await anyio.to_thread.run_sync(check_width, desk.authority.mandates, parent.mandate, agents)
    return await _issued(desk, client, wanted, parent, authority, confirmation, now, epoch)


def _check_form(wanted: Exchange) -> None:
    if wanted.requested_token_type not in (oauth_terms.TYPE_ACCESS, oauth_terms.TYPE_DELEGATION):
        raise OAUTH_INVALID_REQUEST(
            f"tokens of type {shown(wanted.requested_token_type)} are not issued: ask for {oauth_terms.TYPE_ACCESS} or "
            f"{oauth_terms.TYPE_DELEGATION}"
        )
    if bool(wanted.actor_token) != bool(wanted.actor_token_type):
        raise OAUTH_INVALID_REQUEST(
            "`actor_token` and `actor_token_type` need each other (RFC 8693, section 2.1)"
        )
    if wanted.actor_token:
        raise OAUTH_INVALID_REQUEST("the actor is the client that authenticates: leave `actor_token` out")


def _may_act(desk: TokenState, client: TokenClient, parent: Parent) -> Agent:
    """Decide the first question: whether this agent may act under that parent at all, by what is in force now."""
    mandate = parent.mandate
    agent = desk.authority.registry.current.agents.get(client.agent)
    if agent is None or agent.status != "active":
        raise AGENT_INACTIVE(f"agent {shown(client.agent)} is not active")
    if client.identity.drifted and agent.drift == "refuse":
        raise AGENT_DRIFTED(f"agent {shown(client.agent)} differs from its manifest")
    if desk.authority.mandates.state(mandate.id) != "open":
        raise MANDATE_CLOSED("the mandate for this task has been closed")
    if not mandate.not_before <= desk.recorder.clock.now() < mandate.expires_at:
        raise MANDATE_EXPIRED("the mandate for this task has expired or is not valid yet")
    own = (*instance_names(client.identity.instance), RevocationTarget("key", client.key))
    refuse_names(desk.authority, (*agent_names(desk.authority, agent.name), *own))
    refuse_names(desk.authority, mandate_names(desk.authority, mandate))
    for hop in (*parent.hops, *((parent.consent,) if parent.consent is not None else ())):
        refuse_names(desk.authority, names_of_hop(desk.authority, hop))
    depth = len(parent.hops)
    if depth and depth > min(mandate.delegability.depth_max, desk.limits.depth_max):
        raise DELEGATION_DEPTH_INVALID_REFUSED(
            f"the mandate may be delegated to depth {mandate.delegability.depth_max}, and this would "
            f"be hop {depth}"
        )
    owner = desk.authority.registry.current.principals.get(PrincipalId(agent.ownership.owner))
    groups = owner.groups if owner is not None else ()
    if depth and not mandate.delegability.receives(
        agent=agent.name, use_case=agent.use_case, owner_groups=groups
    ):
        raise DELEGATION_RECEIVER(f"the mandate may not be delegated to agent {shown(client.agent)}")
    return agent


def _may_have(desk: TokenState, client: TokenClient, parent: Parent, wanted: Exchange) -> Authority:
    """Decide the second question: whether the agent may have this much. Default: what the parent consented to."""
    asked = parent.within
    if wanted.authorization_details:
        try:
            asked = authority_in(_only_detail(wanted.authorization_details))
        except Malformed as fault:
            raise OAUTH_INVALID_AUTHORIZATION_DETAILS(fault.message) from None
    scopes = asked.scopes
    if wanted.scope:
        scopes = tuple(wanted.scope.split(" "))
        outside = [one for one in scopes if not any(covers(held, one) for held in asked.scopes)]
        if outside:
            raise OAUTH_INVALID_SCOPE(
                f"scope {shown(outside[0])} is not within the scopes of the parent or of "
                "`authorization_details`"
            )
    if server := _server(desk, wanted.resource):
        scopes = tuple(one for one in scopes if _is_on(desk, one, server))
        if not scopes:
            raise OAUTH_INVALID_TARGET_REFUSED(f"none of the requested scopes is on server {shown(server)}")
    if scopes != asked.scopes:
        asked = replace(asked, scopes=scopes)
    try:
        given = meet(parent.within, asked)
    except Malformed as fault:
        raise OAUTH_INVALID_AUTHORIZATION_DETAILS_REFUSED(fault.message) from None
    return _reached(desk, client, parent, given)


def _reached(desk: TokenState, client: TokenClient, parent: Parent, given: Authority) -> Authority:
    """Remove scopes beyond the giver or an agent of the chain now: outside verifiers do not check. Raises Refused."""
    current = desk.authority.registry.current
    agents = [
        current.agents.get(AgentId(name)) for name in (*(hop.agent for hop in parent.hops), client.agent)
    ]
    scopes = []
    for scope in given.scopes:
        fault = giver_fault(parent.mandate, [scope], current) if scope in current.capabilities else None
        if fault is None and all(one is None or one.reaches(scope) for one in agents):
            scopes.append(scope)
    if not scopes:
        raise CAPABILITY_CEILING(
            f"none of the requested capabilities is one that {parent.mandate.principal} may grant and "
            "every agent of the chain is registered for"
        )
    return replace(given, scopes=tuple(scopes))


def _only_detail(text: str) -> JSONValue:
    value = parse(text.encode(), limits=Limits(size_bytes_max=DETAILS_BYTES_MAX))
    if not isinstance(value, list) or len(value) != 1:
        raise OAUTH_INVALID_AUTHORIZATION_DETAILS(
            f"`authorization_details` must be a list of one `{delegation_terms.DELEGATION}`"
        )
    return value[0]


def _server(desk: TokenState, resource: str) -> str:
    """Return the server that a resource names; empty for the whole gateway."""
    issuer = desk.issuer()
    if resource in ("", issuer):
        return ""
    server = resource.removeprefix(f"{issuer}/mcp/")
    if server == resource or server not in desk.authority.registry.current.servers:
        raise OAUTH_INVALID_TARGET(
            f"resource {shown(resource)} is not one of this gateway: expected {issuer}/mcp/SERVER"
        )
    return server


def _is_on(desk: TokenState, scope: str, server: str) -> bool:
    found = desk.authority.registry.current.capabilities.get(scope)
    return found is not None and found.server == server


async def _issued(
    desk: TokenState,
    client: TokenClient,
    wanted: Exchange,
    parent: Parent,
    authority: Authority,
    confirmation: Confirmation,
    now: UnixMillis,
    epoch: Present,
) -> Granted:
    """Issue the token: names, ledger, register, then the token. A crash leaves a record but no token."""
    mandate, key = parent.mandate, desk.keys[0]
    jti = desk.recorder.entropy.bytes(JTI_BYTES).hex()
    is_action = wanted.requested_token_type == oauth_terms.TYPE_ACCESS
    tier = tier_of(
        authority,
        desk.authority.registry.current.capabilities,
        tier=lambda capability: tier_in_force(desk.verification, capability),
    )
    seconds = (
        min(desk.limits.action, desk.verification.acting.of_tier(tier))
        if is_action
        else desk.limits.delegation
    )
    # Times in tokens are whole seconds; a token never outlives its parent.
    expires_at = UnixMillis(min(now // 1000 * 1000 + seconds * 1000, parent.expires_at // 1000 * 1000))
    if expires_at <= now:
        raise DELEGATION_EXPIRED_REFUSED()
    agreed = parent.consent and await cite_consent(desk.recorder, parent.consent, parent.hops[-1], mandate)
    origin = desk.recorder.ledger.origin
    consented = _consented(parent.consent, agreed, origin) if parent.consent and agreed else {}
    place = desk.place()
    issuer = desk.issuer()
    single = is_action and tier >= SINGLE_USE_TIER
    terms = HopTerms(
        jti=jti,
        agent=client.agent,
        confirmation=confirmation,
        audiences=_audiences(parent, wanted.resource or issuer),
        authority=authority,
        issued_at=now,
        expires_at=expires_at,
        depth_limit=parent.depth_limit,
        more={**_more(client, parent, authority, issuer, place, single), **consented},
    )
    above = tuple(hop.token for hop in parent.hops)
    if above:
        token = issue_hop(above, terms, issuer=issuer, key=key, depth_max=desk.limits.depth_max)
    else:
        digest = authority_hash(mandate, audience=origin)
        mission = Mission(id=mandate.id, authority_hash=digest)
        token = issue_root(terms, issuer=issuer, principal=mandate.principal, mission=mission, key=key)
    text = SEPARATOR.join((*above, token))
    chain = desk.verification.delegations.verified(text, now)
    for count in range(1, len(chain.hops) + 1):
        manifest = client.identity.manifest if count == len(chain.hops) else ""
        await cite_hop(
            desk.recorder, desk.authority, desk.counters, chain.hops[:count], mandate, manifest=manifest
        )
    desk.tokens.add([_record(desk, client, parent, chain.leaf, place)])
    _check_stands(desk, mandate, chain, epoch)
    return Granted(
        token=token,
        chain=text,
        expires_in=(expires_at - now) // 1000,
        scopes=authority.scopes,
        authorization_details=[detail_of(authority)],
        by_dpop=confirmation.method == "jkt",
    )


def _audiences(parent: Parent, wanted: str) -> tuple[str, ...]:
    """Return the requested audience, or a narrower one of parent or consent. Raises Refused."""
    above = parent.consent or (parent.hops[-1] if parent.hops else None)
    allowed = above.audiences if above is not None else (wanted,)
    if any(lies_within(wanted, one) for one in allowed):
        return (wanted,)
    narrower = tuple(one for one in allowed if lies_within(one, wanted))
    if not narrower:
        raise OAUTH_INVALID_TARGET_REFUSED(
            f"the parent token is for {shown(', '.join(allowed), 120)}, not for {shown(wanted)}"
        )
    return narrower


def _more(
    client: TokenClient, parent: Parent, authority: Authority, issuer: str, place: StatusPlace, single: bool
) -> Mapping[str, JSONValue]:
    """Return claims for outside verifiers: scope, status, actors (RFC 8693, section 4.1), instance, manifest."""
    uri = status_uri(issuer, place.list_number)
    claims: dict[str, JSONValue] = {
        "scope": " ".join(authority.scopes),
        "status": {"status_list": {"idx": place.index, "uri": uri}},
        "txn": str(parent.mandate.id),
    }
    act: dict[str, JSONValue] = {}
    for agent in (*(hop.agent for hop in parent.hops), client.agent):
        # Agent names belong to this deployment: in `act`, `iss` names whose name it is, not who issued the token.
        named: dict[str, JSONValue] = {"iss": issuer, "sub": agent, "sub_profile": "ai_agent"}
        act = {**named, "act": act} if act else named
    claims["act"] = act
    if client.identity.manifest:
        claims[delegation_terms.MANIFEST] = client.identity.manifest
    if client.identity.instance:
        claims[delegation_terms.INSTANCE] = client.identity.instance
    if single:
        claims[delegation_terms.SINGLE_USE] = True
    return claims


def _consented(consent: Hop, where: Reference, log: str) -> Mapping[str, JSONValue]:
    """Return the claims that name the consent. It may be exchanged repeatedly, and is not part of the issued chain."""
    said: dict[str, JSONValue] = {
        delegation_terms.CONSENT_HASH: consent.hash,
        delegation_terms.CONSENT_LIMITS: dict(hop_limits(consent)),
        delegation_terms.CONSENT_ENTRY: where.entry,
        delegation_terms.CONSENT_LEAF: where.leaf,
        delegation_terms.CONSENT_LOG: log,
    }
    return {delegation_terms.CONSENT: said}


def _record(
    desk: TokenState, client: TokenClient, parent: Parent, hop: Hop, place: StatusPlace
) -> IssuedToken:
    """Return the register row, below the nearest hop of this service. It is found by the names of other hops too."""
    above = ""
    through = (
        {RevocationTarget("hop", hop.consent.hash)} if hop.consent is not None else set[RevocationTarget]()
    )
    for one in reversed(parent.hops):
        found = desk.tokens.find(one.jti)
        # Its `jti` alone proves nothing: the signer chooses it.
        if found is not None and found.par_hash == one.hash:
            above = one.jti
            break
        through.update(names_in_hop(one))
    instance = client.identity.instance if client.identity.instance.startswith(SCHEME) else ""
    return IssuedToken(
        jti=hop.jti, parent=above, par_hash=hop.hash, mandate=parent.mandate.id, agent=AgentId(hop.agent),
        key=hop.confirmation.thumbprint, manifest=client.identity.manifest,
        trust_domain=instance.removeprefix(SCHEME).partition("/")[0], instance=instance,
        expires_at=hop.expires_at, place=place, through=tuple(sorted(through)),
    )  # fmt: skip


def _check_stands(desk: TokenState, mandate: Mandate, chain: Chain, epoch: Present) -> None:
    """Check validity again after the register has the token: an earlier revocation did not find it there to end it.

    `epoch`: of the first check, whose results hold if it is unchanged. Raises Refused after ending the token.
    """
    try:
        if epoch != present(desk.authority, desk.verification.worlds):
            refuse_names(desk.authority, mandate_names(desk.authority, mandate))
            for hop in chain.hops:
                refuse_names(desk.authority, names_of_hop(desk.authority, hop))
        if desk.authority.mandates.state(mandate.id) != "open":
            raise MANDATE_CLOSED("the mandate for this task has been closed")
    except Refused:
        desk.tokens.end([RevocationTarget("token", chain.leaf.jti)])
        raise


def status_uri(issuer: str, number: int) -> str:
    """Return the URL of a status list."""
    return f"{issuer}/oauth/status/{number}"
