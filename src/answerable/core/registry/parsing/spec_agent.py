"""Parse the spec of an Agent document: ownership, ceiling, and the proofs by which its processes are identified.

Laws: a set of selectors is never empty, since it would match every process; sets are stored sorted, so that two
spellings of one set are equal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import checked_selector
from answerable.core.identity.workload.evidence import SELECTORS_MAX
from answerable.core.registry.documents.documents import Agent
from answerable.core.registry.documents.fields import matching, type_name
from answerable.core.registry.manifests.manifest import TIER_MAX
from answerable.core.registry.parsing.spec_shared import keys_in, name_of, ownership_in
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import DOCUMENT_DUPLICATE, DOCUMENT_RANGE, DOCUMENT_SIZE, DOCUMENT_TYPE

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.fields import Fields

AGENT_KEYS: Final = (
    "useCase",
    "environment",
    "tier",
    "keys",
    "unixUids",
    "certificates",
    "attestation",
    "drift",
    "broker",
    "vendors",
    "tenant",
    "capabilities",
    "status",
    "ownership",
)
ATTESTATION_SETS_MAX: Final = 64
"""Maximum for one agent."""

_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")


def agent_in(spec: Fields, name: str) -> Agent:
    """Read the spec of an agent. Records every fault."""
    statuses: tuple[Literal["active", "suspended", "retired"], ...] = ("active", "suspended", "retired")
    drifts: tuple[Literal["refuse", "mark"], ...] = ("refuse", "mark")
    return Agent(
        name=AgentId(name),
        use_case=spec.text("useCase", check=name_of("use case")),
        environment=spec.text("environment", check=name_of("environment")),
        tier=spec.integer("tier", minimum=0, maximum=TIER_MAX) if spec.has("tier") else None,
        keys=keys_in(spec),
        unix_uids=_unix_uids(spec),
        certificates=spec.texts(
            "certificates",
            check=matching(_SHA256_HEX, "the SHA-256 of a certificate: 64 lower-case hex digits"),
        ),
        attestation=attestation_in(spec),
        drift=spec.choice("drift", drifts, default="refuse"),
        broker=spec.flag("broker", default=False),
        vendors=spec.texts("vendors", check=name_of("vendor")),
        tenant=spec.text("tenant", default="", check=name_of("tenant")),
        capabilities=spec.texts("capabilities", check=name_of("capability")),
        status=spec.choice("status", statuses, default="active"),
        ownership=ownership_in(spec),
    )


def _unix_uids(spec: Fields) -> tuple[int, ...]:
    uids: list[int] = []
    for index, uid in enumerate(spec.items("unixUids")):
        if type(uid) is not int or not 0 <= uid < 2**32 - 1:
            spec.fault("expected a Unix user id, 0 to 4294967294", "unixUids", index, code=DOCUMENT_RANGE.id)
        elif uid in uids:
            spec.fault(f"{uid} is listed twice", "unixUids", index, code=DOCUMENT_DUPLICATE.id)
        else:
            uids.append(uid)
    return tuple(uids)


def attestation_in(spec: Fields) -> tuple[tuple[str, ...], ...]:
    """Read the sets of selectors under `attestation`, each sorted."""
    sets: list[tuple[str, ...]] = []
    listed = spec.items("attestation")
    if len(listed) > ATTESTATION_SETS_MAX:
        spec.fault(
            f"expected at most {ATTESTATION_SETS_MAX} sets, got {len(listed)}",
            "attestation",
            code=DOCUMENT_SIZE.id,
        )
        return ()
    for index, item in enumerate(listed):
        if not isinstance(item, list) or not item:
            got = "an empty one" if isinstance(item, list) else type_name(item)
            spec.fault(
                f"expected a list of selectors, got {got}", "attestation", index, code=DOCUMENT_TYPE.id
            )
            continue
        if len(item) > SELECTORS_MAX:
            message = f"expected at most {SELECTORS_MAX} selectors, got {len(item)}"
            spec.fault(message, "attestation", index, code=DOCUMENT_SIZE.id)
            continue
        found = _selectors(spec, item, index)
        if (ordered := tuple(sorted(found))) in sets:
            spec.fault("the same set is listed twice", "attestation", index, code=DOCUMENT_DUPLICATE.id)
        else:
            sets.append(ordered)
    return tuple(sets)


def _selectors(spec: Fields, item: list[JSONValue], index: int) -> list[str]:
    found: list[str] = []
    for place, selector in enumerate(item):
        at = ("attestation", index, place)
        if not isinstance(selector, str):
            spec.fault(f"expected text, got {type_name(selector)}", *at, code=DOCUMENT_TYPE.id)
            continue
        try:
            checked_selector(selector)
        except Malformed as error:
            spec.fault(error.message, *at, code=error.code)
            continue
        if selector in found:
            spec.fault(f"{shown(selector)} is listed twice", *at, code=DOCUMENT_DUPLICATE.id)
        found.append(selector)
    return found
