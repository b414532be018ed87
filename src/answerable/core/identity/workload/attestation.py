"""Attestation: what was measured about a workload, and which agent it therefore is.

Laws: an entry matches when all of its selectors were measured, and an empty one never does; the most specific entry
wins, and where two agents could be meant nobody is; what cannot be written as a selector exactly is left out, never
cut; a token that was made for one agent makes no other; a program that no user is named with makes nobody anything.
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
"""Also the namespace of `ssh-keygen -Y sign`: no other statement of such a key begins with it."""

SHOWN_AGAIN: Final[frozenset[Source]] = frozenset({"spiffe", "mtls"})
"""Evidence that an instance shows anew whenever it renews: who vouches for it can take that back at any time."""

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
"""By type, keys that are not listed one by one: their rest is chosen by others."""

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
    """Whatever shows all of these selectors is an instance of this agent; an empty set never matches."""

    agent: AgentId
    selectors: frozenset[str]


def checked_selector(text: str) -> str:
    """Return `text` when it is a selector `type:key:value` that something here measures.

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
    """The selector as a tuple of one; empty where key or value cannot be written in one, so that nothing is cut, and no
    part of a key is taken for a value."""
    if ":" in key:
        return ()
    try:
        return (checked_selector(f"{kind}:{key}:{value}"),)
    except Malformed:
        return ()


def checked_evidence(source: Source, grade: Grade, selectors: Iterable[str]) -> Evidence:
    """Evidence with its selectors sorted and each once.

    Raises Malformed (`attestation.selector`), and Unverified (`attestation.too_many`): leaving some out could make the
    workload another agent.
    """
    found = sorted({checked_selector(text) for text in selectors})
    if len(found) > SELECTORS_MAX:
        raise ATTESTATION_TOO_MANY(f"{len(found)} selectors were measured, expected at most {SELECTORS_MAX}")
    return Evidence(source=source, grade=grade, selectors=tuple(found))


def fits_every_user(selectors: Iterable[str]) -> bool:
    """Whether these name a program and not who runs it. Any user of the machine may start any program, and have it do
    what they like (a debugger, a preloaded library), so that a program alone tells nobody from anybody."""
    listed = tuple(selectors)
    return any(one.startswith(_PROGRAM) for one in listed) and not any(
        one.startswith(_USER) for one in listed
    )


def matching_agent(entries: Iterable[RegistrationEntry], selectors: Collection[str]) -> AgentId | None:
    """The agent whose entry says most of what was measured, or None when no entry matches.

    The winner's set holds every matching set of any other agent, and more. A set that fits every user matches nothing,
    however it came to be registered. Raises Refused (`attestation.ambiguous`)
    where no entry does.
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
    raise ATTESTATION_AMBIGUOUS(f"what was measured fits several agents and none of them best: {names}")


def possession_message(challenge: str, key_thumbprint: str) -> bytes:
    """What a certificate's or a host's key signs: domain tag, challenge and the RFC 7638 thumbprint of the key that is
    to be enrolled, each on a line of its own, so that a signature serves this challenge and this key alone.

    Raises Malformed (`attestation.message`).
    """
    parts = (challenge, key_thumbprint)
    if not all(0 < len(part) <= 256 and part.isascii() and part.isprintable() for part in parts):
        raise ATTESTATION_MESSAGE()
    return f"{DOMAIN_TAG}\n{challenge}\n{key_thumbprint}\n".encode("ascii")


def enrolment_audience(domain: TrustDomain, key_thumbprint: str) -> str:
    """What a JWT-SVID that attests is made for: enrolment in this trust domain, of this very key.

    So it is no bearer token: who copies it can enrol nobody but the key that it names.
    """
    return f"spiffe://{domain}/answerable/enrolment/{key_thumbprint}"


def spiffe_selectors(identity: SpiffeId) -> tuple[str, ...]:
    """What a verified SPIFFE ID gives: itself, and each name that it stands below, by whole segments of its path up to
    its trust domain, so that no name is taken for the beginning of another."""
    above, found = str(identity), [*selector("spiffe", "id", identity)]
    for _ in range(identity.path.count("/")):
        above = above.rpartition("/")[0]
        found += selector("spiffe", "under", above)
    return tuple(found)


def vouching_domain(evidence: Evidence) -> TrustDomain | None:
    """The trust domain whose SVID the evidence is; None for evidence of another kind. Raises Malformed
    (`spiffe_id.*`) for what no attestation made."""
    if evidence.source != "spiffe":
        return None
    named = next((one for one in evidence.selectors if one.startswith(_SPIFFE_ID)), _SPIFFE_ID)
    return spiffe_id(named.removeprefix(_SPIFFE_ID)).trust_domain
