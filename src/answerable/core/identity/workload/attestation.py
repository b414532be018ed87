"""Attestation: validate the selectors measured of a workload, and find the agent that they identify.

Laws: an entry matches when all of its selectors were measured, and an empty entry never does; the most specific entry
wins, and if two agents remain, none is chosen; a value that cannot be written exactly as a selector is omitted, never
truncated; a join token made for one agent identifies no other; an entry that names a program without a user matches
nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.workload.evidence import SELECTOR_CHARS_MAX, SELECTORS_MAX, Evidence
from answerable.errors import Malformed, shown
from answerable.errors.codes.workloads import (
    ATTESTATION_AMBIGUOUS,
    ATTESTATION_MESSAGE,
    ATTESTATION_SELECTOR,
    ATTESTATION_TOO_MANY,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from answerable.core.identity.names.spiffe_id import SpiffeId, TrustDomain
    from answerable.core.identity.workload.evidence import Grade, Source

ENTRIES_MAX: Final = 100_000
STEP: Final = "attestation"
DOMAIN_TAG: Final = "answerable-enrol"
"""First line of the signed message, and the namespace of `ssh-keygen -Y sign`: no other statement of such a key begins
with it."""

SHOWN_AGAIN: Final[frozenset[Source]] = frozenset({"spiffe", "mtls"})
"""Evidence that an instance must present again at each renewal: its issuer can withdraw it at any time."""

_PROGRAM: Final = ("unix:path:", "unix:sha256:")
_USER: Final = "unix:uid:"
_BOUND_AGENT: Final = "join_token:agent:"
_SPIFFE_ID: Final = "spiffe:id:"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,59}")
_HEX_256: Final = re.compile(r"[0-9a-f]{64}")
_PATH: Final = re.compile(r"/.*")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_SPIFFE: Final = re.compile(r"spiffe://.+")
_ANY: Final = re.compile(r".+")
_TRUTH: Final = re.compile(r"true|false")
_OPEN_KEYS: Final = {
    "oidc": re.compile(r"claim\.[A-Za-z0-9_.-]{1,128}"),
    "aws": re.compile(r"tag\.[A-Za-z0-9_.-]{1,128}"),
}
"""By type, patterns of keys that are not listed one by one, since their rest is chosen outside this product."""

_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "unix:uid": _NUMBER,
    "unix:gid": _NUMBER,
    "unix:path": _PATH,
    "unix:sha256": _HEX_256,
    "unix:cgroup": _PATH,
    "join_token:name": _NAME,
    "join_token:agent": _NAME,
    "oidc:iss": _ANY,
    "oidc:sub": _ANY,
    "oidc:aud": _ANY,
    "k8s:ns": _NAME,
    "k8s:sa": _NAME,
    "k8s:sa_uid": _NAME,
    "k8s:pod": _NAME,
    "k8s:pod_uid": _NAME,
    "k8s:node": _NAME,
    "k8s:node_uid": _NAME,
    "github:repository": _ANY,
    "github:repository_id": _ANY,
    "github:repository_owner": _ANY,
    "github:repository_owner_id": _ANY,
    "github:ref": _ANY,
    "github:ref_type": _ANY,
    "github:environment": _ANY,
    "github:workflow": _ANY,
    "github:workflow_ref": _ANY,
    "github:job_workflow_ref": _ANY,
    "github:event_name": _ANY,
    "github:actor": _ANY,
    "github:actor_id": _ANY,
    "github:runner_environment": _ANY,
    "github:repository_visibility": _ANY,
    "github:ref_protected": _TRUTH,
    "github:head_ref": _ANY,
    "github:base_ref": _ANY,
    "github:enterprise": _ANY,
    "github:enterprise_id": _ANY,
    "aws:arn": _ANY,
    "aws:account": _NUMBER,
    "aws:org_id": _ANY,
    "aws:ou_path": _ANY,
    "aws:region": _NAME,
    "aws:lambda": _ANY,
    "gcp:service_account": _ANY,
    "gcp:service_account_id": _NUMBER,
    "gcp:project": _ANY,
    "gcp:instance": _ANY,
    "gcp:instance_id": _ANY,
    "azure:tenant": _NAME,
    "azure:object": _NAME,
    "azure:app": _NAME,
    "azure:identity": _ANY,
    "azure:resource": _ANY,
    "azure:role": _ANY,
    "x509_pop:ca_sha256": _HEX_256,
    "x509_pop:cn": _ANY,
    "x509_pop:san_uri": _ANY,
    "x509_pop:serial": _NUMBER,
    "ssh:host": _ANY,
    "ssh:ca": _FINGERPRINT,
    "ssh:key": _FINGERPRINT,
    "spiffe:id": _SPIFFE,
    "spiffe:under": _SPIFFE,
    "mtls:sha256": _HEX_256,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationEntry:
    """A registration: a workload with all of these selectors is an instance of this agent; an empty set never
    matches."""

    agent: AgentId
    selectors: frozenset[str]


def checked_selector(text: str) -> str:
    """Return `text` if it is a selector `type:key:value` that this product measures.

    Raises Malformed (`attestation.selector`).
    """
    if len(text) <= SELECTOR_CHARS_MAX and text.isprintable():
        kind, _, rest = text.partition(":")
        key, _, value = rest.partition(":")
        pattern = _VALUES.get(f"{kind}:{key}")
        if pattern is None and kind in _OPEN_KEYS and _OPEN_KEYS[kind].fullmatch(key):
            pattern = _ANY
        if pattern is not None and pattern.fullmatch(value) and value == value.strip():
            return text
    raise ATTESTATION_SELECTOR(f"{shown(text)} is not a selector `type:key:value`, such as `unix:uid:1000`")


def selector(kind: str, key: str, value: object) -> tuple[str, ...]:
    """Return the selector as a tuple of one; empty if key or value cannot be written exactly. A key with a colon is
    refused, since part of it would be read as the value."""
    if ":" in key:
        return ()
    try:
        return (checked_selector(f"{kind}:{key}:{value}"),)
    except Malformed:
        return ()


def checked_evidence(source: Source, grade: Grade, selectors: Iterable[str]) -> Evidence:
    """Return evidence with its selectors sorted and each once.

    Raises Malformed (`attestation.selector`), and Unverified (`attestation.too_many`): omitting selectors could make
    the workload match another agent.
    """
    found = sorted({checked_selector(text) for text in selectors})
    if len(found) > SELECTORS_MAX:
        raise ATTESTATION_TOO_MANY(f"{len(found)} selectors were measured, expected at most {SELECTORS_MAX}")
    return Evidence(source=source, grade=grade, selectors=tuple(found))


def fits_every_user(selectors: Iterable[str]) -> bool:
    """Whether the selectors name a program without its user. Any user of the machine may start any program and control
    it (a debugger, a preloaded library), so a program alone identifies nobody."""
    listed = tuple(selectors)
    return any(one.startswith(_PROGRAM) for one in listed) and not any(
        one.startswith(_USER) for one in listed
    )


def matching_agent(entries: Iterable[RegistrationEntry], selectors: Collection[str]) -> AgentId | None:
    """Return the agent of the most specific matching entry, or None if no entry matches.

    The winner's selectors are a proper superset of every matching set of any other agent. An entry that fits every user
    never matches, however it was registered. Raises Refused (`attestation.ambiguous`) if several agents match and none
    wins.
    """
    measured = frozenset(selectors)
    bound = {AgentId(text.removeprefix(_BOUND_AGENT)) for text in measured if text.startswith(_BOUND_AGENT)}
    matching = [
        entry
        for entry in entries
        if entry.selectors
        and entry.selectors <= measured
        and (not bound or bound == {entry.agent})
        and not fits_every_user(entry.selectors)
    ]
    agents = {entry.agent for entry in matching}
    if len(agents) <= 1:
        return next(iter(agents), None)
    for entry in matching:
        if all(entry.selectors > other.selectors for other in matching if other.agent != entry.agent):
            return entry.agent
    names = ", ".join(shown(agent, 63) for agent in sorted(agents)[:4])
    raise ATTESTATION_AMBIGUOUS(f"the measured selectors fit several agents equally well: {names}")


def possession_message(challenge: str, key_thumbprint: str) -> bytes:
    """Return the message that a certificate's or a host's key signs: domain tag, challenge and the RFC 7638 thumbprint
    of the key to enrol, each on its own line, so that a signature is good for this challenge and this key alone.

    Raises Malformed (`attestation.message`).
    """
    parts = (challenge, key_thumbprint)
    if not all(0 < len(part) <= 256 and part.isascii() and part.isprintable() for part in parts):
        raise ATTESTATION_MESSAGE()
    return f"{DOMAIN_TAG}\n{challenge}\n{key_thumbprint}\n".encode("ascii")


def enrolment_audience(domain: TrustDomain, key_thumbprint: str) -> str:
    """Return the audience of a JWT-SVID used as attestation: enrolment of this key in this trust domain.

    The JWT-SVID is therefore no bearer token: a copy of it can enrol only the key that it names.
    """
    return f"spiffe://{domain}/answerable/enrolment/{key_thumbprint}"


def spiffe_selectors(identity: SpiffeId) -> tuple[str, ...]:
    """Return the selectors of a verified SPIFFE ID: the id itself, and each prefix of whole path segments up to its
    trust domain, so that a name is never taken for a prefix of another."""
    above, found = str(identity), [*selector("spiffe", "id", identity)]
    for _ in range(identity.path.count("/")):
        above = above.rpartition("/")[0]
        found += selector("spiffe", "under", above)
    return tuple(found)


def vouching_domain(evidence: Evidence) -> TrustDomain | None:
    """Return the trust domain whose SVID the evidence is, or None for evidence of another kind. Raises Malformed
    (`spiffe_id.*`) for evidence that no attestation made."""
    if evidence.source != "spiffe":
        return None
    named = next((one for one in evidence.selectors if one.startswith(_SPIFFE_ID)), _SPIFFE_ID)
    return spiffe_id(named.removeprefix(_SPIFFE_ID)).trust_domain
