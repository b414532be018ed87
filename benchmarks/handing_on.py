"""The course with a mandate that was handed on: agents with keys, chains between them, and the token service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import cast

import course
from dpop import new_key

from answerable.adapters.cedar import compiled
from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.sqlite import (
    SqliteHoldRegister,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteTokenRegister,
)
from answerable.core.canonical import JSONValue
from answerable.core.identity.keys.keys import Algorithm, SigningKey
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.caller import VerifiedCaller
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY
from answerable.core.mandate import oauth_terms
from answerable.core.mandate.authority import Authority, authority_of
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_signing import HopTerms, issue_hop, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of
from answerable.core.mandate.mandate import Grant, Mandate, MandateId
from answerable.core.mandate.mission import authority_hash
from answerable.core.registry.parsing.active import stored_form
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.state.delegations import Delegations
from answerable.flows.state.token_desk import TokenState
from answerable.flows.tokens.authenticate_client import TokenClient
from answerable.flows.tokens.find_parent import Exchange

ISSUER = "https://gateway.example"
MANDATE = MandateId("1" * 26)
FIRST = AgentId("support-agent")
OFFLINE_MS = 240_000


@dataclass(slots=True, kw_only=True)
class HandedOn:
    """keys: of the agents, whose first the mandate was given to. at: when its hops were made."""

    made: course.Course
    desk: TokenState
    keys: dict[AgentId, SigningKey]
    mandate: Mandate
    store: SqliteStore
    at: UnixMillis

    def chain(self, hops: int, *, offline: bool = True) -> str:
        """So many hops, each for the next agent; below the first signed by the agents, or by the token service."""
        agents = tuple(self.keys)[:hops]
        authority = authority_of(self.mandate)
        digest = authority_hash(self.mandate, audience=self.made.walk.recorder.ledger.origin)
        tokens = [
            issue_root(
                self._terms(FIRST, authority, depth_limit=self.mandate.delegability.depth_max + 1),
                issuer=ISSUER,
                principal=self.mandate.principal,
                mission=Mission(id=self.mandate.id, authority_hash=digest),
                key=self.desk.keys[0],
            )
        ]
        for above, agent in pairwise(agents):
            terms = self._terms(agent, authority)
            if offline:
                tokens.append(sign_hop(tokens, terms, key=self.keys[above]))
            else:
                tokens.append(issue_hop(tokens, terms, issuer=ISSUER, key=self.desk.keys[0]))
        return SEPARATOR.join(tokens)

    def caller(self, number: int) -> VerifiedCaller:
        """That agent, which has proved its key for a message."""
        agent = tuple(self.keys)[number]
        return VerifiedCaller(
            agent=agent,
            proof="dpop",
            binding="",
            sequence=1,
            message_digest=bytes(32),
            at=self.at,
            key=self.keys[agent].public.thumbprint,
        )

    def client(self, number: int) -> TokenClient:
        """That agent, as it asks the token service."""
        agent = tuple(self.keys)[number]
        return TokenClient(
            agent=agent,
            identity=UNKNOWN_IDENTITY,
            method="signature",
            key=self.keys[agent].public.thumbprint,
        )

    def messages(self, number: int, chain: str = "") -> Iterator[course.Sent]:
        """A signed message each, of that agent, under a chain or under the mandate alone."""
        agent = tuple(self.keys)[number]
        sender = replace(self.made, key=self.keys[agent])
        count = 0
        while True:
            count += 1
            plain = replace(
                course.unsigned(course.body(count)), mandate=MANDATE.encode(), delegation=chain.encode()
            )
            yield course.signed_message(sender, plain), None

    def _terms(self, agent: AgentId, authority: Authority, *, depth_limit: int | None = None) -> HopTerms:
        return HopTerms(
            jti=self.made.walk.entropy.bytes(16).hex(),
            agent=agent,
            confirmation=confirmation_of(self.keys[agent].public),
            audiences=(ISSUER,),
            authority=authority,
            issued_at=self.at,
            expires_at=UnixMillis(self.at + (OFFLINE_MS if depth_limit is None else 3_000_000)),
            depth_limit=depth_limit,
        )


def handed_on(directory: Path, *, agents: int = 5, algorithm: Algorithm = "ed25519") -> HandedOn:
    """The course in this directory, with registers on disk for tokens and revocations, and a mandate for all agents."""
    made = course.course(directory)
    walk = made.walk
    ada = open_or_create_key(directory / "ada.jwk", entropy=walk.entropy)
    names = (FIRST, *(AgentId(f"agent-{number}") for number in range(1, agents)))
    keys = {name: new_key(algorithm) for name in names}
    documents = course.documents(keys[FIRST], ada)
    documents += [_agent(name, key) for name, key in keys.items() if name != FIRST]
    documents.append(_permits(names[1:]))
    walk.authority.registry.put(stored_form(documents))
    current = walk.authority.registry.current
    walk.policies.decision_point = compiled(policy_text(current), current)
    now = walk.clock.now()
    mandate = course.signed_by(
        ada,
        id=MANDATE,
        principal=PrincipalId("ada"),
        agent=FIRST,
        use_case="support",
        purpose="Answer the customer's question in case 4711, with whom it takes",
        grants=(Grant(capability="crm.customer-read", caveats=(ResourceIn(ids=("4711",)),)),),
        caveats=(),
        calls_max=10**9,
        delegability=Delegability(depth_max=5, width_max=100, to=("use_case:support",)),
        not_before=UnixMillis(now - 1000),
        expires_at=UnixMillis(now + 3_600_000),
    )
    walk.authority.mandates.add(mandate)
    store = SqliteStore.open(directory / "registers.db")
    desk = TokenState(
        recorder=walk.recorder,
        authority=walk.authority,
        verification=walk.verification,
        counters=walk.counters,
        live=walk.live,
        tokens=SqliteTokenRegister(store, entropy=walk.entropy),
        known=made.verifier.known,
        keys=(new_key(algorithm),),
        issuer=lambda: ISSUER,
    )
    walk.live.tokens = desk.tokens
    walk.authority.revocations = revocations = SqliteRevocationRegister(store, clock=walk.clock)
    walk.authority.holds = SqliteHoldRegister(store, revocations)
    walk.verification.delegations = Delegations(keys_of=desk.public_keys, audience=desk.issuer)
    return HandedOn(made=made, desk=desk, keys=keys, mandate=mandate, store=store, at=now)


def wanted(*, subject: str, chain: str = "") -> Exchange:
    """An exchange of the mandate, or of the last token of a chain, for a token for actions."""
    if chain:
        above, _, leaf = chain.rpartition(SEPARATOR)
        return Exchange(subject_token=leaf, subject_token_type=oauth_terms.TYPE_ACCESS, chain=above)
    return Exchange(subject_token=subject, subject_token_type=oauth_terms.TYPE_MANDATE)


def _permits(agents: tuple[AgentId, ...]) -> JSONValue:
    """One policy an agent, each with its own head as the policies of the course have it."""
    policies = "\n".join(
        f"""@id("handed.allowed-{number}")
permit(principal == Agent::"{agent}", action == Action::"crm.customer-read", resource is Case)
when {{ context.task.use_case == "support" && context.capability.tier < 3 }};
"""
        for number, agent in enumerate(agents)
    )
    return {
        "apiVersion": "answerable/v1",
        "kind": "PolicySet",
        "metadata": {"name": "handed"},
        "spec": {"policies": policies},
    }


def _agent(name: str, key: SigningKey) -> JSONValue:
    spec: dict[str, JSONValue] = {
        "useCase": "support",
        "environment": "production",
        "keys": cast("list[JSONValue]", [json.loads(key.public.jwk)]),
        "ownership": course.OWNERSHIP,
    }
    return {"apiVersion": "answerable/v1", "kind": "Agent", "metadata": {"name": name}, "spec": spec}
