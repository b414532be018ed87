"""Enrol a workload at a server: private keys stay in this process, only proofs of possession are sent.

Specified in `docs/reference/wire/enrolment.md`.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain, spiffe_id, trust_domain
from answerable.core.identity.workload.enrolment import enrolment_proof
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.errors.codes.workloads import ENROLMENT_ANSWER, ENROLMENT_UNREACHABLE
from answerable.sdk.gateway_address import unreached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import SigningKey
    from answerable.core.registry.manifests.manifest_drift import Measured

PREFIX: Final = "/identity/v1/"
ANSWER_BYTES_MAX: Final = 262_144
ANSWER_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A server's challenge. text: for the self-proof of a key. attestation: for a certificate's or a host's key.
    domain: the server's trust domain."""

    text: str
    attestation: str
    domain: TrustDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The server's answer about an instance. milliseconds_left: remaining lifetime, so that clocks need not agree.

    drift: fields of the manifest that differ. wanted: fields that the manifest states and the server has not yet read
    from the kernel: the process that started the agent should name the agent's process when it renews. chain: of its
    X.509-SVID, DER, leaf first; empty if none was requested.
    """

    instance: SpiffeId
    agent: str
    milliseconds_left: int
    grade: str
    source: str
    manifest: str = ""
    drift: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOf:
    """Properties of the workload, by field of the manifest: measured by this process, or only claimed.

    process: pid of the agent, a child of the caller, for which the server reads the program from the kernel; 0 for
    none. program: the program as seen by this process; it is not sent, but a change of it is a reason to renew.
    """

    measured: Mapping[str, str]
    claimed: Mapping[str, str]
    process: int = 0
    program: str = ""

    @classmethod
    def of(cls, found: Measured) -> MadeOf:
        """Split by grade: claimed values stay claimed."""
        values = found.values.items()
        return cls(
            measured={name: value for name, (value, grade) in values if grade != "claimed"},
            claimed={name: value for name, (value, grade) in values if grade == "claimed"},
        )


class EnrolmentClient:
    """A client of one server. Every method raises AnswerableError: as the server raised it, Unavailable
    (`enrolment.unreachable`) if the server cannot be reached, and Unavailable (`enrolment.answer`) for an invalid
    answer."""

    def __init__(self, client: httpx2.AsyncClient, base: str) -> None:
        """client: without auth of its own. base: base URL of the server."""
        self._client = client
        self._base = base

    async def challenge(self) -> Challenge:
        """Fetch a challenge for an enrolment, valid once and for a minute."""
        value = await self._asked("GET", "challenge", None, None)
        text, attestation = value.get("challenge"), value.get("attestation_challenge")
        if not isinstance(text, str) or not isinstance(attestation, str):
            raise ENROLMENT_ANSWER()
        return Challenge(
            text=text, attestation=attestation, domain=trust_domain(str(value.get("trust_domain")))
        )

    async def enrol(
        self,
        challenge: Challenge,
        *,
        key: SigningKey,
        attestation: Mapping[str, JSONValue],
        csr: bytes = b"",
        made_of: MadeOf | None = None,
        former: str = "",
    ) -> Enrolled:
        """Enrol `key` for the first time. csr: certificate request, DER, for an X.509-SVID. former: thumbprint of the
        key that it replaces, if the server no longer knows that key."""
        body = _body(csr, made_of) | {"attestation": dict(attestation)}
        if former:
            body["former"] = former
        return await self._enrolled("enrol", _proved(body, challenge, key), None)

    async def enrol_sub_agent(
        self, challenge: Challenge, *, parent: httpx2.Auth, key: SigningKey, csr: bytes = b""
    ) -> Enrolled:
        """Enrol a sub-agent. parent: signs with the key of the parent instance. key: the sub-agent's own."""
        return await self._enrolled("sub-agents", _proved(_body(csr, None), challenge, key), parent)

    async def renew(
        self,
        auth: httpx2.Auth,
        *,
        csr: bytes = b"",
        made_of: MadeOf | None = None,
        attestation: Mapping[str, JSONValue] | None = None,
    ) -> Enrolled:
        """Renew an enrolment. auth: signs with the key of the instance. attestation: its evidence, presented again."""
        body = _body(csr, made_of)
        if attestation is not None:
            body["attestation"] = dict(attestation)
        return await self._enrolled("renew", body, auth)

    async def end(self, auth: httpx2.Auth, instance: SpiffeId | None = None) -> tuple[str, ...]:
        """End the instance that `auth` signs for, or a sub-agent of it; return the names of all ended instances."""
        body: dict[str, JSONValue] = {} if instance is None else {"instance": str(instance)}
        ended = (await self._asked("POST", "end", body, auth)).get("ended")
        return tuple(str(one) for one in ended) if isinstance(ended, list) else ()

    async def stop(
        self, auth: httpx2.Auth, *, over: Literal["instance", "agent"] = "instance", reason: str = ""
    ) -> str:
        """Stop the instance that `auth` signs for, with its sub-agents, or its whole agent; return the id of the hold.

        No new action starts after that, and only people can lift the hold, not the agent. No other agent can be stopped
        this way.
        """
        body: dict[str, JSONValue] = {"over": over}
        if reason:
            body["reason"] = reason
        hold = (await self._asked("POST", "stop", body, auth)).get("hold")
        if not isinstance(hold, str):
            raise ENROLMENT_ANSWER()
        return hold

    async def _enrolled(self, name: str, body: dict[str, JSONValue], auth: httpx2.Auth | None) -> Enrolled:
        return _enrolled_in(await self._asked("POST", name, body, auth))

    async def _asked(
        self, method: str, name: str, body: dict[str, JSONValue] | None, auth: httpx2.Auth | None
    ) -> dict[str, JSONValue]:
        content = encode(body) if body is not None else b""
        fields = {"content-type": "application/json"} if content else {}
        request = self._client.build_request(
            method, self._base + PREFIX + name, content=content, headers=fields, timeout=ANSWER_SECONDS_MAX
        )
        try:
            response = await self._client.send(request, auth=auth or _Unsigned(), stream=True)
            try:
                text = await _bounded(response)
            finally:
                await response.aclose()
        except httpx2.HTTPError as fault:
            raise ENROLMENT_UNREACHABLE(f"the server cannot be reached ({unreached(fault)})") from None
        try:
            value = parse(text)
        except Malformed:
            raise ENROLMENT_ANSWER() from None
        if not isinstance(value, dict):
            raise ENROLMENT_ANSWER()
        if not response.is_success:
            raise _error_of(value)
        return value


class _Unsigned(httpx2.Auth):
    """Sends a request unchanged, in place of the client's own auth."""


def certificate_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Create a certificate request without a subject: the server knows the identity (RFC 2986). DER."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _body(csr: bytes, made_of: MadeOf | None) -> dict[str, JSONValue]:
    body: dict[str, JSONValue] = {}
    if csr:
        body["csr"] = b64encode(csr).decode("ascii")
    if made_of is not None:
        body["measured"] = dict(made_of.measured)
        body["claimed"] = dict(made_of.claimed)
        if made_of.process:
            body["process"] = made_of.process
    return body


def _proved(body: dict[str, JSONValue], challenge: Challenge, key: SigningKey) -> dict[str, JSONValue]:
    named: dict[str, JSONValue] = {**body, "key": json.loads(key.public.jwk)}
    proof = enrolment_proof(named, challenge=challenge.text, domain=challenge.domain, key=key)
    return {**named, "proof": proof}


async def _bounded(response: httpx2.Response) -> bytes:
    text = bytearray()
    async for chunk in response.aiter_bytes():
        text += chunk
        if len(text) > ANSWER_BYTES_MAX:
            raise ENROLMENT_ANSWER()
    return bytes(text)


def _enrolled_in(value: dict[str, JSONValue]) -> Enrolled:
    left, drift, svid = value.get("milliseconds_left"), value.get("drift"), value.get("x509_svid")
    wanted = value.get("wanted")
    if type(left) is not int or not isinstance(drift, list):
        raise ENROLMENT_ANSWER()
    chain = svid.get("chain") if isinstance(svid, dict) else []
    try:
        return Enrolled(
            instance=spiffe_id(str(value.get("instance"))),
            agent=str(value.get("agent")),
            milliseconds_left=left,
            grade=str(value.get("grade")),
            source=str(value.get("source")),
            manifest=str(value.get("manifest")),
            drift=tuple(str(one) for one in drift),
            wanted=tuple(str(one) for one in wanted) if isinstance(wanted, list) else (),
            chain=tuple(b64decode(str(one), validate=True) for one in chain)
            if isinstance(chain, list)
            else (),
        )
    except (Malformed, binascii.Error):
        raise ENROLMENT_ANSWER() from None


def _error_of(problem: dict[str, Any]) -> AnswerableError:
    """Return the error as the server raised it (RFC 9457)."""
    message, code = str(problem.get("detail", "")), str(problem.get("code", "enrolment.answer"))
    match problem.get("branch"):
        case "malformed":
            return Malformed(message, code=code)
        case "unverified":
            return Unverified(message, code=code, step=str(problem.get("step", "")))
        case "refused":
            reasons = problem.get("reasons")
            listed = tuple(str(one) for one in reasons) if isinstance(reasons, list) else ()
            return Refused(message, code=code, reasons=listed)
        case "unavailable":
            return Unavailable(message, code=code, port=str(problem.get("port", "gateway")))
        case _:
            return Unavailable(message or "the server failed", code=code, port="gateway")
