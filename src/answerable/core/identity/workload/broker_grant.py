"""Grants of the Broker API: which processes may fetch identity documents for which workloads, as configured by the
operator.

Laws: a process that is not listed may not broker; a broker reaches the listed workloads and no others; there is no
wildcard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import agent_id
from answerable.core.identity.workload.attestation import checked_selector
from answerable.errors import Malformed, shown
from answerable.errors.codes.leases import BROKER_GRANT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from answerable.core.identity.names.principal import AgentId
    from answerable.core.identity.names.spiffe_id import TrustDomain

GRANTS_MAX: Final = 256
WORKLOADS_MAX: Final = 256
"""Maximum for one grant."""

_AGENT: Final = "agent:"
_KERNEL: Final = "unix:"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerGrant:
    """One broker and the workloads that it may fetch for; made by `broker_grants`. Both are names in the sense of
    `names_of`."""

    broker: str
    workloads: frozenset[str]


def broker_grants(texts: Iterable[str], *, own: TrustDomain) -> tuple[BrokerGrant, ...]:
    """Read the setting. Each text is `BROKER WORKLOAD [WORKLOAD ...]`, with names of processes as `names_of` gives
    them.

    own: our trust domain. Raises Malformed (`broker.grant`).
    """
    grants = tuple(_grant(text, own) for text in texts)
    if len(grants) > GRANTS_MAX:
        raise BROKER_GRANT(f"{len(grants)} brokers, expected at most {GRANTS_MAX}")
    return grants


def names_of(domain: TrustDomain, agent: AgentId | None, selectors: Collection[str]) -> frozenset[str]:
    """Return all names by which a grant may refer to a measured process: its kernel selectors, and its agent, as
    `agent:NAME` and as the SPIFFE ID of all its instances. agent: None for a process that belongs to none."""
    kernel = frozenset(one for one in selectors if one.startswith(_KERNEL))
    return kernel if agent is None else kernel | {f"{_AGENT}{agent}", _agent_spiffe_id(domain, agent)}


def within_reach(grants: Iterable[BrokerGrant], broker: Collection[str]) -> frozenset[str]:
    """Return the names of the workloads that this process may fetch for; empty if the process is no broker."""
    return frozenset(name for one in grants if one.broker in broker for name in one.workloads)


def _grant(text: str, own: TrustDomain) -> BrokerGrant:
    broker, *workloads = text.split() or [""]
    if not workloads:
        raise BROKER_GRANT(
            f"{shown(text)} is not `BROKER WORKLOAD [WORKLOAD ...]`, such as `agent:relay agent:scout`"
        )
    if len(workloads) > WORKLOADS_MAX:
        raise BROKER_GRANT(
            f"{shown(broker)} has {len(workloads)} workloads, expected at most {WORKLOADS_MAX}"
        )
    return BrokerGrant(
        broker=_checked_name(broker, own), workloads=frozenset(_checked_name(one, own) for one in workloads)
    )


def _checked_name(text: str, own: TrustDomain) -> str:
    try:
        if text.startswith(_AGENT):
            return f"{_AGENT}{agent_id(text.removeprefix(_AGENT))}"
        prefix = _agent_spiffe_id(own, "")
        if text.startswith(prefix):
            return _agent_spiffe_id(own, agent_id(text.removeprefix(prefix)))
        if text.startswith(_KERNEL):
            return checked_selector(text)
    except Malformed as fault:
        raise BROKER_GRANT(fault.message) from None
    raise BROKER_GRANT(
        f"{shown(text)} is neither `agent:NAME`, `{prefix}NAME` nor a selector that the kernel "
        "measures, such as `unix:uid:1000`"
    )


def _agent_spiffe_id(domain: TrustDomain, agent: str) -> str:
    return f"spiffe://{domain}/agent/{agent}"
