"""A mandate of scout's that may be handed on to rover, and the chain by which it was, over any walk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.mandate.authority import Authority, authority_of
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.hop_signing import HopTerms, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of
from answerable.core.mandate.mission import authority_hash
from answerable.flows.state.delegations import Delegations
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.signing import signed_mandate
from answerable.testing.delegation import ISSUER, SERVICE, trusted
from answerable.testing.samples import mandate_terms, signing_key
from tests.worlds.parts import to_issue

if TYPE_CHECKING:
    from answerable.core.action.request import ActionRequest
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.mandate.mandate import Mandate
    from answerable.testing.builders import Bench

TO_ROVER = Delegability(depth_max=1, width_max=1, to=("agent:rover",))


def believing(*benches: Bench) -> None:
    """Their walks believe the bench's token service."""
    for bench in benches:
        bench.walk.verification.delegations = Delegations(keys_of=trusted, audience=lambda: ISSUER)


async def mandated(bench: Bench, *, identity: str = "m-1", calls_max: int = 20, **changes: Any) -> Mandate:
    """Alice lets scout read, and hand it on to rover."""
    now = bench.clock.now()
    terms = replace(
        mandate_terms(identity),
        principal=PrincipalId("alice"),
        agent=AgentId("scout"),
        calls_max=calls_max,
        not_before=now,
        expires_at=UnixMillis(now + 3_600_000),
        **{"delegability": TO_ROVER, **changes},
    )
    origin = bench.recorder.ledger.origin
    return await issue_mandate(
        *to_issue(bench.walk), signed_mandate(terms, audience=origin, key=signing_key("alice"))
    )


def hop(bench: Bench, agent: str, authority: Authority, **more: Any) -> HopTerms:
    """Terms of a hop for an agent's registered key."""
    now = bench.clock.now()
    given: dict[str, Any] = {
        "jti": f"hop-{agent}",
        "agent": agent,
        "confirmation": confirmation_of(signing_key(agent).public),
        "audiences": (ISSUER,),
        "authority": authority,
        "issued_at": now,
        "expires_at": UnixMillis(now // 1000 * 1000 + 200_000),
    }
    return HopTerms(**{**given, **more})


def root_of(bench: Bench, mandate: Mandate, **changes: Any) -> str:
    """The first hop, as the token service would issue it."""
    mission = Mission(
        id=mandate.id, authority_hash=authority_hash(mandate, audience=bench.recorder.ledger.origin)
    )
    authority = changes.pop("authority", None) or authority_of(mandate)
    terms = hop(bench, "scout", authority, **{"depth_limit": 2, **changes})
    return issue_root(terms, issuer=ISSUER, principal="alice", mission=mission, key=SERVICE)


def chain_of(bench: Bench, mandate: Mandate, *, to: str = "rover", **changes: Any) -> tuple[str, str]:
    """The chain from scout to another agent, for reading."""
    root = root_of(bench, mandate)
    narrow = Authority(scopes=("crm.read",), constraints=authority_of(mandate).constraints)
    return root, sign_hop((root,), hop(bench, to, narrow, **changes), key=signing_key("scout"))


def asked(
    bench: Bench, chain: tuple[str, ...], *, agent: str = "rover", key: str = "", mandate: str = ""
) -> tuple[ActionRequest, VerifiedCaller]:
    """A read under a chain, proved with a key."""
    action, caller = bench.request("get_case", {"case": "4711"}, agent=agent, mandate=mandate)
    action = msgspec.structs.replace(action, delegation="~".join(chain))
    return action, msgspec.structs.replace(caller, key=signing_key(key or agent).public.thumbprint)
