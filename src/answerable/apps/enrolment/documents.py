"""Parse the JSON bodies of enrolment requests strictly: an unknown member is a fault."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import Limits, parse
from answerable.core.identity.workload.enrolment import certificate_request_key, enrolled_key
from answerable.core.json_extent import check_extent
from answerable.core.registry.manifests.manifest import MANIFEST_FIELDS
from answerable.core.registry.manifests.manifest_drift import Measured
from answerable.errors import shown
from answerable.errors.codes.workloads import ENROLMENT_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.identity.workload.evidence import Grade
    from answerable.core.registry.manifests.manifest import ManifestField

DEPTH_MAX: Final = 6
MEMBERS_MAX: Final = 2_000
CHAIN_MAX: Final = 8
TEXT_CHARS_MAX: Final = 65_536
PID_MAX: Final = 2**22
"""Largest pid of Linux on any machine (proc_sys_kernel(5))."""

_COMMON: Final = frozenset({"claimed", "csr", "measured"})
ENROL_MEMBERS: Final = _COMMON | {"attestation", "former", "key", "process", "proof"}
SUB_AGENT_MEMBERS: Final = _COMMON | {"key", "proof"}
RENEW_MEMBERS: Final = _COMMON | {"attestation", "process"}
END_MEMBERS: Final = frozenset({"instance"})
STOP_MEMBERS: Final = frozenset({"over", "reason"})

ATTESTATION_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "unix": frozenset({"type"}),
    "join_token": frozenset({"type", "token"}),
    "oidc": frozenset({"type", "token"}),
    "x509_pop": frozenset({"type", "chain", "signature", "challenge"}),
    "ssh_host_key": frozenset({"type", "identity", "signature", "challenge"}),
    "x509_svid": frozenset({"type", "chain", "signature", "challenge"}),
    "jwt_svid": frozenset({"type", "token"}),
    "mtls": frozenset({"type"}),
}
"""The members of an attestation document by type, all required and no others. A local process is identified by its
connection, never by what it states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A parsed request. members: as received, without `proof`. key: to be enrolled. csr: P-256 key to be certified.

    measured: None if the request has no measurements. process: pid of the agent that the caller started; 0 for none.
    """

    members: Mapping[str, JSONValue]
    proof: str = ""
    key: PublicKey | None = None
    csr: EllipticCurvePublicKey | None = None
    measured: Measured | None = None
    process: int = 0
    attestation: Mapping[str, JSONValue] | None = None


def request_in(body: bytes, known: frozenset[str], *, bytes_max: int) -> Request:
    """Parse a request body. Raises Malformed (`enrolment.malformed`, `enrolment.csr`, `json.*`, `key.*`, `manifest.*`)
    and Unverified."""
    check_extent(body, MEMBERS_MAX)
    value = parse(body, limits=Limits(size_bytes_max=bytes_max, depth_max=DEPTH_MAX)) if body else {}
    if not isinstance(value, dict):
        raise ENROLMENT_MALFORMED("the body is a JSON object")
    _check_members(value, known, "the body")
    if "key" in known:
        for name in ("key", "proof"):
            if name not in value:
                raise ENROLMENT_MALFORMED(f"the body lacks `{name}`")
    attestation = value.get("attestation")
    return Request(
        members={name: member for name, member in value.items() if name != "proof"},
        proof=text_in(value, "proof") if "proof" in value else "",
        key=enrolled_key(value["key"]) if "key" in value else None,
        csr=certificate_request_key(base64_in(value, "csr")) if "csr" in value else None,
        measured=_measured(value),
        process=_process(value),
        attestation=attestation_in(attestation) if attestation is not None else None,
    )


def attestation_in(value: JSONValue) -> Mapping[str, JSONValue]:
    """Return an attestation document of a known type, with exactly its members. Raises Malformed."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ENROLMENT_MALFORMED("an attestation is an object with a `type`")
    known = ATTESTATION_MEMBERS.get(str(value["type"]))
    if known is None:
        message = f"attestation type {shown(value['type'], 40)} is none of {', '.join(ATTESTATION_MEMBERS)}"
        raise ENROLMENT_MALFORMED(message)
    _check_members(value, known, "the attestation")
    if missing := sorted(known - value.keys()):
        raise ENROLMENT_MALFORMED(f"the attestation lacks `{missing[0]}`")
    return value


def text_in(value: Mapping[str, JSONValue], name: str) -> str:
    """Return a text member. Raises Malformed."""
    text = value.get(name)
    if not isinstance(text, str) or not 0 < len(text) <= TEXT_CHARS_MAX:
        raise ENROLMENT_MALFORMED(f"`{name}` is text of 1 to {TEXT_CHARS_MAX} characters")
    return text


def base64_in(value: Mapping[str, JSONValue], name: str) -> bytes:
    """Return a base64 member (RFC 4648, section 4) as bytes. Raises Malformed."""
    return _octets(text_in(value, name), name)


def chain_in(value: Mapping[str, JSONValue]) -> tuple[bytes, ...]:
    """Return the member `chain`: certificates, DER in base64, leaf first. Raises Malformed."""
    chain = value.get("chain")
    if not isinstance(chain, list) or not 0 < len(chain) <= CHAIN_MAX:
        raise ENROLMENT_MALFORMED(f"`chain` is a list of 1 to {CHAIN_MAX} certificates")
    return tuple(_octets(one, "chain") for one in chain)


def _octets(text: JSONValue, name: str) -> bytes:
    try:
        return b64decode(text if isinstance(text, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise ENROLMENT_MALFORMED(f"`{name}` is not base64") from None


def _process(value: Mapping[str, JSONValue]) -> int:
    process = value.get("process", 0)
    if type(process) is not int or not 0 <= process <= PID_MAX:
        raise ENROLMENT_MALFORMED("`process` is the number of a process")
    return process


def _measured(value: Mapping[str, JSONValue]) -> Measured | None:
    """Return the fields that the caller measured and those that it only claims; a claim never counts as a measurement.

    Whether the caller's measurements count as the sidecar's is decided by the caller's identity, at enrolment or
    renewal.
    """
    if "measured" not in value and "claimed" not in value:
        return None
    found: dict[ManifestField, tuple[str, Grade]] = {}
    grades: tuple[tuple[str, Grade], ...] = (("claimed", "claimed"), ("measured", "sidecar"))
    for member, grade in grades:
        fields = value.get(member, {})
        if not isinstance(fields, dict):
            raise ENROLMENT_MALFORMED(f"`{member}` is an object of texts")
        for name, text in fields.items():
            if name not in MANIFEST_FIELDS or not isinstance(text, str):
                message = f"`{member}` has {shown(name, 40)}, which is no text or no field of a manifest"
                raise ENROLMENT_MALFORMED(message)
            found[name] = (text, grade)
    return Measured(values=found)


def _check_members(value: Mapping[str, JSONValue], known: frozenset[str], what: str) -> None:
    if unknown := sorted(value.keys() - known):
        raise ENROLMENT_MALFORMED(f"{what} has the unknown member {shown(unknown[0], 40)}")
