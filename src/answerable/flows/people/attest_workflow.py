"""Determine which workflow is at the other end of a connection, by measuring the peer at this moment.

Laws: only what the connection presents counts, and nothing is enrolled or stored; a process that is an agent, could be
one, or was started by one is no workflow; a key that is or was an instance's is not accepted for a workflow.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.core.identity.workload.attestation import matching_agent, spiffe_selectors
from answerable.errors import Malformed, Refused, Unverified, shown
from answerable.errors.codes.people import (
    WORKFLOW_AMBIGUOUS,
    WORKFLOW_CHANNEL,
    WORKFLOW_IS_AGENT,
    WORKFLOW_KEY_TAKEN,
    WORKFLOW_UNATTESTED,
)
from answerable.flows.validity.workflow_validity import standing_workflow

if TYPE_CHECKING:
    from answerable.core.identity.names.spiffe_id import TrustDomain
    from answerable.core.identity.proof.channel import Channel, PeerCredentials
    from answerable.core.identity.svid.trust_bundle import TrustBundle
    from answerable.core.registry.documents.documents import Workflow
    from answerable.flows.trust_domain.workloads import Workloads


async def attested_workflow(workloads: Workloads, channel: Channel | None) -> Workflow:
    """Return the one active workflow whose attestation matches what the connection presents.

    Raises Unverified (`workflow.channel`, `process.*`, `mtls.*`), Refused (`workflow.unattested`, `workflow.ambiguous`,
    `workflow.is_agent`, `workflow.key_taken`, and as `standing_workflow`), Unavailable (`process.*`).
    """
    selectors = await _shown_by(workloads, channel)
    matching = [
        one
        for one in workloads.authority.registry.current.workflows.values()
        if any(selectors.issuperset(chosen) for chosen in one.attestation)
    ]
    if not matching:
        raise WORKFLOW_UNATTESTED()
    if len(matching) > 1:
        names = ", ".join(sorted(shown(one.name) for one in matching)[:4])
        raise WORKFLOW_AMBIGUOUS(f"the measured process matches several workflows: {names}")
    if _fits_an_agent(workloads, selectors):
        raise WORKFLOW_IS_AGENT("the measured process is an agent, and an agent may not answer approvals")
    workflow = standing_workflow(workloads.authority, matching[0].name)
    for key in workflow.keys:
        if workloads.instances.by_key(key.thumbprint) is not None:
            raise WORKFLOW_KEY_TAKEN(
                f"a key of workflow {shown(workflow.name)} is or was the key of an agent: create a new one"
            )
    return workflow


async def _shown_by(workloads: Workloads, channel: Channel | None) -> frozenset[str]:
    if channel is not None and channel.peer is not None:
        return await _shown_by_process(workloads, channel.peer)
    if channel is None or not channel.certificates:
        raise WORKFLOW_CHANNEL(
            "the connection does not identify a workflow: use the gateway's Unix socket, or TLS "
            "with the workflow's certificate"
        )
    evidence = workloads.attestor.mtls(channel.certificates[0])
    return frozenset((*evidence.selectors, *_spiffe_shown(workloads, channel)))


def _spiffe_shown(workloads: Workloads, channel: Channel) -> tuple[str, ...]:
    """Return the SPIFFE ID that another trust domain issued; none where the certificate is no SVID. The holder of an
    SVID of our own domain is an agent's instance, and refused."""

    def foreign(domain: TrustDomain) -> TrustBundle | None:
        if domain == workloads.trust.domain:
            raise WORKFLOW_IS_AGENT("an SVID of this server's trust domain identifies an agent")
        return workloads.trust.bundle(domain)

    try:
        svid = verified_x509_svid(channel.certificates, bundle_of=foreign, now=workloads.recorder.clock.now())
    except (Malformed, Unverified):
        return ()
    return spiffe_selectors(svid.id)


async def _shown_by_process(workloads: Workloads, peer: PeerCredentials) -> frozenset[str]:
    if peer.started == 0:
        raise WORKFLOW_CHANNEL("the process that connected has ended")
    observe = partial(workloads.observer.observe, peer.pid, started=peer.started)
    facts = await workloads.measuring.measured(peer.uid, observe)
    if facts.uid != peer.uid:
        raise WORKFLOW_CHANNEL("the process runs as another user than the one that connected")
    if not facts.descent_known:
        raise WORKFLOW_IS_AGENT(
            "the parents of this process cannot be read: start it with fewer parent processes, "
            "none of them hidden from this server"
        )
    instances = workloads.instances
    for process in (facts.process, *facts.ancestors):
        # The process of an ended instance still counts as an agent's.
        if instances.by_process(process) is not None or instances.process_ended(process):
            raise WORKFLOW_IS_AGENT(
                "this process is an agent or was started by one: an agent may not answer approvals"
            )
    return frozenset(workloads.attestor.unix(facts).selectors)


def _fits_an_agent(workloads: Workloads, selectors: frozenset[str]) -> bool:
    try:
        return matching_agent(workloads.in_force(), selectors) is not None
    except Refused:
        return True
