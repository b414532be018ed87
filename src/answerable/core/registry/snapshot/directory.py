"""Look up the agent that a proof (a key, a user id, a certificate, a SPIFFE ID) belongs to.

Laws: a proof that two active agents claim belongs to neither; an inactive agent is found only if no active agent claims
the proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from answerable.core.identity.workload.attestation import RegistrationEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.registry.documents.documents import Agent
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

SHOWN_BY_CONNECTIONS: Final = ("spiffe:id:", "mtls:sha256:")
"""Selectors that a TLS connection to the gateway proves by itself."""

Proof = TypeVar("Proof")
Found = TypeVar("Found")


class AgentDirectory:
    """A look-up built once per registry snapshot; one dict access each.

    by_key: thumbprint to agent and key. by_uid: user id of Unix-socket peers. by_certificate: SHA-256, hex.
    by_selector: selectors that a connection alone can prove, to the attestation sets of active agents that contain
    them. idle_by_selector: likewise for inactive agents.
    """

    __slots__ = ("by_certificate", "by_key", "by_selector", "by_uid", "idle_by_selector", "snapshot")

    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self.snapshot: Final = snapshot
        active = snapshot.agents
        agents = (*active.values(), *snapshot.idle_agents.values())
        self.by_key: Final[dict[str, tuple[Agent, PublicKey]]] = _unambiguous(
            active, ((key.thumbprint, agent, (agent, key)) for agent in agents for key in agent.keys)
        )
        self.by_uid: Final[dict[int, Agent]] = _unambiguous(
            active, ((uid, agent, agent) for agent in agents for uid in agent.unix_uids)
        )
        self.by_certificate: Final[dict[str, Agent]] = _unambiguous(
            active,
            ((certificate, agent, agent) for agent in agents for certificate in agent.certificates),
        )
        self.by_selector: Final = _by_selector(active.values())
        self.idle_by_selector: Final = _by_selector(snapshot.idle_agents.values())


def registered_under(snapshot: RegistrySnapshot, uid: int) -> frozenset[AgentId]:
    """Return the active agents that are identified by this user id, alone or with other selectors."""
    selector = f"unix:uid:{uid}"
    return frozenset(
        name
        for name, agent in snapshot.agents.items()
        if uid in agent.unix_uids or any(selector in chosen for chosen in agent.attestation)
    )


def _by_selector(agents: Iterable[Agent]) -> dict[str, tuple[RegistrationEntry, ...]]:
    found: dict[str, tuple[RegistrationEntry, ...]] = {}
    for agent in agents:
        for chosen in agent.attestation:
            entry = RegistrationEntry(agent=agent.name, selectors=frozenset(chosen))
            for selector in chosen:
                if selector.startswith(SHOWN_BY_CONNECTIONS):
                    found[selector] = (*found.get(selector, ()), entry)
    return found


def _unambiguous(
    active: Mapping[AgentId, Agent], claims: Iterable[tuple[Proof, Agent, Found]]
) -> dict[Proof, Found]:
    """Keep unambiguous claims only. Claims of active agents come first; a second active claimant removes the proof from
    both."""
    found: dict[Proof, Found] = {}
    owner: dict[Proof, Agent] = {}
    for proof, agent, target in claims:
        earlier = owner.get(proof)
        if earlier is None:
            owner[proof] = agent
            found[proof] = target
        elif earlier.name != agent.name and agent.name in active:
            found.pop(proof, None)
    return found
