"""Handle enrolment requests: identify the caller, verify its proof and call the flow."""

from __future__ import annotations

import logging
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio
import anyio.to_thread

from answerable.apps.enrolment import documents
from answerable.apps.enrolment.pace import Pace
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.proof.http_signature import request_from_http
from answerable.core.identity.workload.attestation import SHOWN_AGAIN
from answerable.core.identity.workload.challenge import LIFETIME_SECONDS
from answerable.core.identity.workload.enrolment import verified_enrolment_proof
from answerable.core.registry.manifests.manifest_drift import program_in
from answerable.core.registry.snapshot.unregistered import stranger_name
from answerable.errors import Refused, Unavailable, Unverified, shown
from answerable.errors.codes.workloads import (
    ATTESTATION_CHANGED,
    ATTESTATION_CHANNEL,
    ATTESTATION_PROCESS,
    ATTESTATION_STALE,
    ENROLMENT_BUSY,
    ENROLMENT_MALFORMED,
    INSTANCE_NO_INSTANCE,
    INSTANCE_UNKNOWN,
)
from answerable.flows.containment.stop_own_agent import stop_own_agent
from answerable.flows.revocation.end_instance import end_instance
from answerable.flows.validity.allow_restart import require_may_return, unknown_key
from answerable.flows.walk.note_unregistered import note_stranger
from answerable.flows.workloads.compare_manifest import drift_now
from answerable.flows.workloads.enrol_workload import agent_of, enrol, live_instance, renew
from answerable.flows.workloads.hand_out_svid import x509_svid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from answerable.apps.enrolment.documents import Request
    from answerable.apps.enrolment.services import EnrolmentServices
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.proof.channel import Channel
    from answerable.core.identity.workload.evidence import Evidence
    from answerable.core.identity.workload.instance import Instance
    from answerable.core.registry.manifests.manifest_drift import Measured
    from answerable.ports.process_observer import ProcessFacts

PROGRAM: Final = "executable_digest"

_log: Final = logging.getLogger("answerable.enrolment")


@dataclass(slots=True)
class Known:
    """The caller as far as it is known by now: the agent, and the key's thumbprint."""

    agent: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One HTTP request: the parts that proofs cover. channel: what its connection proves. known: filled in while the
    request is read, so that a refusal can name the caller."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    channel: Channel | None
    known: Known = field(default_factory=Known)


class _Shown(NamedTuple):
    """Verified evidence. process, agent_up: set for a local process."""

    evidence: Evidence
    process: str = ""
    agent_up: bool = False


class EnrolmentDesk:
    """Handler of enrolment requests. Every method raises the error family."""

    def __init__(self, needs: EnrolmentServices) -> None:
        self._needs = needs
        self._workloads = needs.workloads
        self._attesting = {True: 0, False: 0}
        self._pace = Pace(needs.requests_per_minute_max)

    async def challenge(self, asked: Asked) -> dict[str, JSONValue]:
        """Return the challenge that the next enrolment must sign. The server stores nothing for it."""
        if asked.body:
            raise ENROLMENT_MALFORMED("a request for a challenge must have no body")
        return {
            "attestation_challenge": self._workloads.attestor.challenge(),
            "challenge": self._workloads.challenge(local=_is_local(asked.channel)),
            "seconds": LIFETIME_SECONDS,
            "trust_domain": self._workloads.trust.domain,
        }

    async def enrol(self, asked: Asked) -> dict[str, JSONValue]:
        """Enrol a workload that has no identity yet."""
        request = self._read(asked, documents.ENROL_MEMBERS)
        key = self._proved_key(request, asked)
        if request.attestation is None:
            raise ENROLMENT_MALFORMED("the body lacks `attestation`")
        if "former" in request.members:
            await require_may_return(self._workloads, documents.text_in(request.members, "former"))
        local = _is_local(asked.channel)
        if self._attesting[local] >= self._needs.attesting_max:
            raise ENROLMENT_BUSY()
        self._attesting[local] += 1
        try:
            shown_by = await self._attested(request.attestation, asked.channel, key.thumbprint)
        finally:
            self._attesting[local] -= 1
        program = await self._program(request, asked.channel)
        try:
            instance = await enrol(
                self._workloads,
                evidence=shown_by.evidence,
                key=key,
                process=shown_by.process,
                agent_up=shown_by.agent_up,
                measured=request.measured,
                program=program,
            )
        except Refused as refused:
            if refused.code == "attestation.unknown":
                note_stranger(
                    self._workloads.verification.sightings, self._workloads.recorder.clock, shown_by.evidence
                )
            with suppress(Refused):
                asked.known.agent = agent_of(self._workloads, shown_by.evidence).name
            raise
        self._workloads.verification.sightings.leave("agent", stranger_name(shown_by.evidence))
        return await self._answer(instance, request.csr)

    async def renew(self, asked: Asked) -> dict[str, JSONValue]:
        """Renew an instance, authenticated by its key."""
        found = self._caller(asked)
        request = self._read(asked, documents.RENEW_MEMBERS)
        shown_by = await self._measured_again(found, request, asked.channel)
        renewed = await renew(
            self._workloads,
            found.id,
            evidence=shown_by.evidence if shown_by is not None else None,
            agent_up=shown_by is not None and shown_by.agent_up,
            measured=request.measured,
            program=await self._program(request, asked.channel, found),
        )
        return await self._answer(renewed, request.csr)

    async def enrol_sub_agent(self, asked: Asked) -> dict[str, JSONValue]:
        """Enrol a sub-agent, authenticated by the parent's key, with a key of its own."""
        parent = self._caller(asked)
        request = self._read(asked, documents.SUB_AGENT_MEMBERS)
        key = self._proved_key(request, asked)
        instance = await enrol(
            self._workloads,
            evidence=parent.evidence,
            key=key,
            measured=request.measured,
            parent=parent.id,
        )
        return await self._answer(instance, request.csr)

    async def end(self, asked: Asked) -> dict[str, JSONValue]:
        """End the instance whose key signed the request, or one of its sub-agents."""
        found = self._caller(asked)
        request = self._read(asked, documents.END_MEMBERS)
        target = found.id
        if "instance" in request.members:
            target = spiffe_id(documents.text_in(request.members, "instance"))
            named = self._workloads.instances.find(target)
            if target != found.id and (named is None or named.parent != str(found.id)):
                raise INSTANCE_UNKNOWN(f"{shown(target)} is not a sub-agent of this instance")
        ended = await end_instance(self._workloads, target, because="asked")
        return {"ended": [str(one.id) for one in ended]}

    async def stop(self, asked: Asked) -> dict[str, JSONValue]:
        """Place a hold on the instance whose key signed the request, or on its whole agent; no other name is
        accepted."""
        found, said = self._caller(asked), self._read(asked, documents.STOP_MEMBERS).members
        over = documents.text_in(said, "over") if "over" in said else "instance"
        reason = documents.text_in(said, "reason") if "reason" in said else ""
        placed = await stop_own_agent(self._workloads, found, over, reason)
        kind, name = placed.hold.what
        ended: list[JSONValue] = [str(one) for one in placed.instances]
        return {"hold": placed.hold.id, "kind": kind, "name": name, "ended": ended}

    def _read(self, asked: Asked, known: frozenset[str]) -> Request:
        return documents.request_in(asked.body, known, bytes_max=self._needs.body_bytes_max)

    def _proved_key(self, request: Request, asked: Asked) -> PublicKey:
        """Return the key in the request. The key must have signed the request and an unused challenge of this server,
        which is used up."""
        key = request.key
        if key is None:
            raise ENROLMENT_MALFORMED("the body lacks `key`")
        asked.known.key = asked.known.key or key.thumbprint
        challenge = verified_enrolment_proof(
            request.proof, request.members, key=key, domain=self._workloads.trust.domain
        )
        self._workloads.take_challenge(challenge, local=_is_local(asked.channel))
        return key

    def _caller(self, asked: Asked) -> Instance:
        """Return the live instance whose key signed this very message. Other proofs of the connection do not count
        here."""
        prover = self._needs.prover
        message = request_from_http(asked.method, asked.target, asked.headers, asked.body)
        try:
            caller = prover.verify(message)
        except Unverified as error:
            raise unknown_key(self._workloads, message, error) or error from None
        if not caller.identity.instance:
            message_text = "expected a request signed with an instance's key, got one of a registered key"
            raise INSTANCE_NO_INSTANCE(message_text)
        asked.known.agent, asked.known.key = str(caller.agent), caller.key
        found = live_instance(self._workloads, spiffe_id(caller.identity.instance))
        self._pace.count(found.id, at=self._workloads.recorder.clock.monotonic())
        return found

    async def _measured_again(
        self, found: Instance, request: Request, channel: Channel | None
    ) -> _Shown | None:
        """Return fresh evidence if there is any: of the enrolled process, or from the request's attestation; else None.

        Evidence from the kernel is never replaced by weaker evidence.
        """
        key = found.key.thumbprint if found.key is not None else ""
        if found.process:
            if request.attestation is not None and request.attestation["type"] != "unix":
                message = "an instance that the kernel attested must be attested by the kernel again"
                raise ATTESTATION_CHANGED(message)
            if channel is None or channel.peer is None:
                return None
            again = await self._attested({"type": "unix"}, channel, key)
            if again.process != found.process:
                raise ATTESTATION_PROCESS("the request comes from another process than the enrolled one")
            return None if _says_less(again.evidence, found.evidence) else again
        if request.attestation is None:
            if found.evidence.source in SHOWN_AGAIN:
                raise ATTESTATION_STALE()
            return None
        again = await self._attested(request.attestation, channel, key)
        if again.evidence.source != found.evidence.source:
            message = "an instance must be attested by the method of its enrolment"
            raise ATTESTATION_CHANGED(message)
        if again.evidence.source == "spiffe" and again.evidence.selectors != found.evidence.selectors:
            raise ATTESTATION_CHANGED("the SVID is of another workload than the enrolled one: enrol again")
        return again

    async def _attested(self, document: Mapping[str, JSONValue], channel: Channel | None, key: str) -> _Shown:
        attestor = self._workloads.attestor
        match document["type"]:
            case "unix":
                return await self._attested_process(channel)
            case "join_token":
                token = documents.text_in(document, "token")
                return _Shown(await anyio.to_thread.run_sync(partial(attestor.join_token, token)))
            case "oidc":
                return _Shown(await attestor.oidc(documents.text_in(document, "token")))
            case "mtls":
                # On a Unix socket only the kernel's credentials count, not certificates that the peer sent.
                sent = channel.certificates if channel is not None and channel.peer is None else ()
                return _Shown(attestor.mtls(sent[0] if sent else b""))
            case "jwt_svid":
                return _Shown(attestor.jwt_svid(documents.text_in(document, "token"), key))
            case "x509_pop" | "x509_svid":
                judged = partial(
                    attestor.x509_pop if document["type"] == "x509_pop" else attestor.x509_svid,
                    documents.chain_in(document),
                    documents.base64_in(document, "signature"),
                    documents.text_in(document, "challenge"),
                    key,
                )
                return _Shown(await anyio.to_thread.run_sync(judged))
            case _:
                judged = partial(
                    attestor.ssh,
                    documents.text_in(document, "identity"),
                    documents.text_in(document, "signature"),
                    documents.text_in(document, "challenge"),
                    key,
                )
                return _Shown(await anyio.to_thread.run_sync(judged))

    async def _attested_process(self, channel: Channel | None) -> _Shown:
        """Attest the process that made this connection, as the kernel recorded it at connection time."""
        peer = channel.peer if channel is not None else None
        if peer is None or peer.started == 0:
            raise ATTESTATION_CHANNEL()
        observe = partial(self._workloads.observer.observe, peer.pid, started=peer.started)
        facts = await self._workloads.measuring.measured(peer.uid, observe)
        if facts.uid != peer.uid:
            raise ATTESTATION_PROCESS("the process runs as another user than the one that connected")
        evidence = self._workloads.attestor.unix(facts)
        # An agent that already runs would measure itself.
        below = any(
            one.is_live(self._workloads.recorder.clock.now())
            for one in map(self._workloads.instances.by_process, facts.ancestors)
            if one is not None
        )
        return _Shown(evidence, facts.process, facts.agent_up and not below)

    async def _program(
        self, request: Request, channel: Channel | None, found: Instance | None = None
    ) -> Measured | None:
        """Measure the child process that the caller started as the agent; None if the request names no process.

        found: the instance; nothing is measured if its manifest states no program digest. Raises Unverified
        (`attestation.process`) if the process is not a child of the caller.
        """
        peer = channel.peer if channel is not None else None
        if not request.process or peer is None or (found is not None and not self._states_program(found)):
            return None
        observer = self._workloads.observer

        def observe() -> ProcessFacts:
            return observer.observe(request.process, started=observer.started(request.process))

        try:
            facts = await self._workloads.measuring.measured(peer.uid, observe)
        except Unverified:
            # The process has ended or is executing another program right now: there is no measurement.
            return None
        if facts.parent != peer.pid:
            raise ATTESTATION_PROCESS("the named process is not a child of the requesting process")
        return program_in(facts.selectors())

    def _states_program(self, found: Instance) -> bool:
        signed = self._workloads.authority.manifests.current(found.agent)
        return signed is not None and bool(signed.manifest.executable_digest)

    def _wanted(self, instance: Instance) -> list[JSONValue]:
        """Return what the manifest states, the kernel could measure and has not been asked about."""
        told = [name for name, _, grade in instance.measured if grade == "kernel"]
        unasked = instance.process and not instance.parent and PROGRAM not in told
        return [PROGRAM] if unasked and self._states_program(instance) else []

    async def _answer(self, instance: Instance, csr: EllipticCurvePublicKey | None) -> dict[str, JSONValue]:
        left = max(0, instance.expires_at - self._workloads.recorder.clock.now())
        answer: dict[str, JSONValue] = {
            "agent": instance.agent,
            "drift": list(drift_now(self._workloads, instance)),
            "expires_at": instance.expires_at,
            "grade": instance.evidence.grade,
            "instance": str(instance.id),
            "manifest": instance.manifest,
            "milliseconds_left": left,
            "parent": instance.parent,
            "source": instance.evidence.source,
            "wanted": self._wanted(instance),
        }
        if csr is not None:
            answer["x509_svid"] = await self._certified(instance, csr)
        return answer

    async def _certified(self, instance: Instance, csr: EllipticCurvePublicKey) -> JSONValue:
        """Return a certificate, or None while none can be signed: the instance exists all the same and tries again at
        renewal."""
        try:
            svid = await x509_svid(self._workloads, instance.id, csr)
        except Unavailable as error:
            _log.warning("no certificate could be issued to %s: %s", instance.id, error.message)
            return None
        return {
            "chain": [b64encode(der).decode("ascii") for der in (svid.leaf, *svid.chain)],
            "expires_at": svid.not_after,
        }


def _is_local(channel: Channel | None) -> bool:
    """Whether the kernel identifies the peer: local enrolments are limited separately, so that remote callers cannot
    block them."""
    return channel is not None and channel.peer is not None


def _says_less(now: Evidence, before: Evidence) -> bool:
    """Whether the evidence differs only in having fewer selectors: the sidecar forbids inspection once it runs.

    It is the same process then, and the earlier evidence from the kernel stays valid.
    """
    return set(now.selectors) < set(before.selectors)
