"""Build the snapshot of active things from all registered documents, and explain why the others are inactive.

Laws: a thing without complete ownership is not active (check REG-02), nor is one that refers to something missing or
inactive; a policy set or a stop rule is never silently omitted, since that could drop a forbid or a stop; the same
documents give the same snapshot and digest, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from answerable.core.canonical import encode, parse
from answerable.core.identity.names.principal import AgentId, PrincipalId
from answerable.core.identity.workload.attestation import fits_every_user
from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.documents import (
    Agent,
    Application,
    MandateTemplate,
    Owned,
    PolicySetDocument,
    Principal,
    Schedule,
    Server,
    UseCase,
    Workflow,
)
from answerable.core.registry.documents.duty import Duty
from answerable.core.registry.documents.fields import Fault
from answerable.core.registry.documents.stop_rule import StopRule
from answerable.core.registry.parsing.duty_references import duty_notes
from answerable.core.registry.parsing.parse import Registered, document_key, shapes_of
from answerable.core.registry.parsing.references import reference_faults
from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
from answerable.errors import shown
from answerable.errors.codes.documents import DOCUMENT_DECLARED_TWICE
from answerable.errors.codes.registry import REGISTRY_FAULTS, REGISTRY_KEY
from answerable.errors.codes.workloads import ATTESTATION_EVERY_USER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.ownership import Ownership
    from answerable.core.registry.parsing.parse import Kind, Shapes

APPROVERS_MIN: Final = 2
"""Minimum members of an approver group: with fewer, one absent person blocks all approvals (check REG-02)."""

_EVERY_USER: Final = (
    "this names a program that any user may start: add the user that it runs as, `unix:uid:N`"
)

N = TypeVar(
    "N",
    UseCase,
    Agent,
    Server,
    Capability,
    MandateTemplate,
    Principal,
    PolicySetDocument,
    Application,
    Schedule,
    StopRule,
    Workflow,
    Duty,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactive:
    """Why a registered thing is not in force. missing: empty ownership fields, as written in documents."""

    kind: Kind
    name: str
    missing: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding for the owner's attention; it blocks nothing. `code` is stable."""

    kind: Kind
    name: str
    code: str
    message: str


class ParsedDocuments:
    """A set of documents, parsed once for everything that is asked of it. The documents must not change meanwhile."""

    def __init__(self, documents: Sequence[JSONValue]) -> None:
        self._documents = documents
        self.shapes = shapes_of(documents)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """As `faults_of`."""
        return tuple(sorted((*self.shapes.faults, *self._references), key=lambda fault: fault.document))

    @cached_property
    def _references(self) -> tuple[Fault, ...]:
        return reference_faults(self.shapes)

    @cached_property
    def _down(self) -> dict[tuple[Kind, str], tuple[str, ...]]:
        _require_sound(self.shapes)
        return _why_inactive(self.shapes, self._references)

    def inactive(self) -> list[Inactive]:
        """As the function of this name."""
        return [
            Inactive(
                kind=found.kind,
                name=found.name,
                missing=_missing(found),
                reasons=self._down[found.kind, found.name],
            )
            for found in self.shapes.nouns
            if (found.kind, found.name) in self._down
        ]

    def snapshot(self) -> RegistrySnapshot:
        """As `snapshot_of`."""
        active, idle = list[Registered](), list[Registered]()
        for found in sorted(self.shapes.nouns, key=lambda one: f"{one.kind}/{one.name}"):
            (idle if (found.kind, found.name) in self._down else active).append(found)
        return RegistrySnapshot(
            digest=digest_of(self._documents),
            principals=MappingProxyType({PrincipalId(n): p for n, p in _by_name(active, Principal).items()}),
            use_cases=_by_name(active, UseCase),
            agents=MappingProxyType({AgentId(n): a for n, a in _by_name(active, Agent).items()}),
            idle_agents=MappingProxyType({AgentId(n): a for n, a in _by_name(idle, Agent).items()}),
            servers=_by_name(active, Server),
            capabilities=_by_name(active, Capability),
            idle=_by_name(idle, Capability),
            templates=_by_name(active, MandateTemplate),
            applications=_by_name(active, Application),
            schedules=_by_name(active, Schedule),
            policy_sets=_by_name(active, PolicySetDocument),
            stop_rules=_by_name(active, StopRule),
            workflows=_by_name(active, Workflow),
            duties=MappingProxyType({one.group: one for one in _by_name(active, Duty).values()}),
        )


def faults_of(documents: Sequence[JSONValue]) -> tuple[Fault, ...]:
    """Return all faults of a set of documents, in their order: faults of shape, then faults of reference.

    Never raises. Incomplete ownership is not a fault: see `inactive`.
    """
    return ParsedDocuments(documents).faults


def faults_of_new(documents: Sequence[JSONValue]) -> tuple[Fault, ...]:
    """Return the faults of documents that are to be registered: `faults_of`, and entries that an earlier release
    accepted and this one refuses. Documents already registered with such an entry stay registered, or nothing else
    could be applied, but the entry has no effect (see `findings`). Never raises."""
    parsed = ParsedDocuments(documents)
    return tuple(sorted((*parsed.faults, *_refused_now(parsed.shapes)), key=lambda fault: fault.document))


def faults_of_shape(documents: Sequence[JSONValue]) -> list[Fault]:
    """Return those of `faults_of_new` that are in a document whatever else is registered. Never raises."""
    shapes = shapes_of(documents)
    return sorted((*shapes.faults, *_refused_now(shapes)), key=lambda fault: fault.document)


def _refused_now(shapes: Shapes) -> list[Fault]:
    return [
        Fault(
            document=one.document,
            path=f"/spec/attestation/{index}",
            code=ATTESTATION_EVERY_USER.id,
            message=_EVERY_USER,
        )
        for one in shapes.nouns
        for index in _sets_for_every_user(one)
    ]


def _sets_for_every_user(found: Registered) -> list[int]:
    sets = found.noun.attestation if isinstance(found.noun, Agent) else ()
    return [index for index, chosen in enumerate(sets) if fits_every_user(chosen)]


def snapshot_of(documents: Sequence[JSONValue]) -> RegistrySnapshot:
    """Build the snapshot of what is active. Raises Malformed (`registry.faults`) for any fault of shape."""
    return ParsedDocuments(documents).snapshot()


def digest_of(documents: Sequence[JSONValue]) -> str:
    """Return the SHA-256, hex, of the canonical JSON object that contains each document under its `kind/name`."""
    return sha256(encode({document_key(document): document for document in documents})).hexdigest()


def stored_form(documents: Sequence[JSONValue]) -> dict[str, bytes]:
    """Return each document's canonical JSON by `kind/name`, as registry stores hold it.

    Raises Malformed: `document.unnamed`, `document.declared_twice`, `json.*`.
    """
    stored: dict[str, bytes] = {}
    for document in documents:
        key = document_key(document)
        if key in stored:
            raise DOCUMENT_DECLARED_TWICE(f"{shown(key)} is declared twice")
        stored[key] = encode(document)
    return stored


def documents_in(stored: Mapping[str, bytes]) -> list[JSONValue]:
    """Read stored documents, in order of `kind/name`; the inverse of `stored_form`.

    Raises Malformed: `json.*`, and `registry.key` for a document stored under another document's key.
    """
    documents: list[JSONValue] = []
    for key in sorted(stored):
        document = parse(stored[key])
        if document_key(document) != key:
            raise REGISTRY_KEY(f"the document stored under {shown(key)} has another kind or name")
        documents.append(document)
    return documents


def inactive(documents: Sequence[JSONValue]) -> list[Inactive]:
    """Return what is registered and not in force, with every reason. Raises Malformed (`registry.faults`)."""
    return ParsedDocuments(documents).inactive()


def findings(documents: Sequence[JSONValue], *, today: str) -> list[Finding]:
    """Return findings for owners: overdue reviews, too few approvers, agents and owners that cannot prove their
    identity.

    today: ISO 8601 date. Raises Malformed (`registry.faults`).
    """
    shapes = shapes_of(documents)
    _require_sound(shapes)
    members: dict[str, int] = {}
    for found in shapes.nouns:
        if isinstance(found.noun, Principal) and found.noun.status == "active":
            for group in found.noun.groups:
                members[group] = members.get(group, 0) + 1
    listed: list[Finding] = []
    for found in shapes.nouns:
        listed += [
            Finding(kind=found.kind, name=found.name, code=code, message=message)
            for code, message in (
                duty_notes(found.noun, shapes, today)
                if isinstance(found.noun, Duty)
                else _notes(found, members, today)
            )
        ]
    return listed


def _notes(found: Registered, members: Mapping[str, int], today: str) -> list[tuple[str, str]]:
    noun = found.noun
    notes: list[tuple[str, str]] = []
    if isinstance(noun, Agent) and not (noun.keys or noun.unix_uids or noun.certificates or noun.attestation):
        message = "has no key, Unix user id, certificate or attestation, so it cannot prove its identity"
        notes.append(("registry.agent_without_proof", message))
    for index in _sets_for_every_user(found):
        counts = f"is not identified by set {index} of its attestation"
        notes.append(("registry.attestation_every_user", f"{counts}: {_EVERY_USER}"))
    if isinstance(noun, Application | Schedule) and not noun.keys:
        notes.append(("registry.issuer_without_key", "has no key, so it can sign no mandate"))
    if isinstance(noun, Workflow) and not (noun.keys and noun.attestation):
        notes.append(
            ("registry.workflow_without_proof", "lacks a key or an attestation, so it can answer nothing")
        )
    if isinstance(noun, Principal) and noun.groups and not noun.keys:
        notes.append(
            ("registry.approver_without_key", "is in a group but has no key, so cannot sign an answer")
        )
    if not isinstance(noun, Owned):
        return notes
    ownership = noun.ownership
    if ownership.review_date and ownership.review_date < today:
        notes.append(("registry.review_overdue", f"is overdue for review since {ownership.review_date}"))
    group = ownership.approver_group
    if group and members.get(group, 0) < APPROVERS_MIN:
        message = (
            f"approver group `{group}` has {members.get(group, 0)} members, expected at least {APPROVERS_MIN}"
        )
        notes.append(("registry.approvers_few", message))
    return notes


def _require_sound(shapes: Shapes) -> None:
    if shapes.faults:
        first = shapes.faults[0]
        more = f" (and {len(shapes.faults) - 1} more faults)" if len(shapes.faults) > 1 else ""
        where = f"document {first.document + 1}, {first.path or '/'}"
        raise REGISTRY_FAULTS(f"registry documents are invalid: {where}: {first.message}{more}")


def _why_inactive(shapes: Shapes, faults: Sequence[Fault]) -> dict[tuple[Kind, str], tuple[str, ...]]:
    """Return the reasons by thing. faults: of reference. Kinds are visited in order of dependency, so that dependencies
    are decided first."""
    broken: dict[int, list[str]] = {}
    for fault in faults:
        broken.setdefault(fault.document, []).append(fault.message)
    down: dict[tuple[Kind, str], tuple[str, ...]] = {}
    order: tuple[Kind, ...] = (
        "Principal",
        "Server",
        "UseCase",
        "Agent",
        "Capability",
        "MandateTemplate",
        "Application",
        "Schedule",
        "Workflow",
    )
    for kind in order:
        for found in shapes.nouns:
            if found.kind != kind:
                continue
            reasons = list(broken.get(found.document, []))
            if missing := _missing(found):
                reasons.append(f"ownership lacks {', '.join(missing)}: write it into the document")
            if (
                isinstance(found.noun, Agent | Principal | Application | Schedule | Workflow)
                and found.noun.status != "active"
            ):
                reasons.append(f"its status is {found.noun.status}")
            reasons += [
                f"its {_words(needed)} {shown(name)} is not active"
                for needed, name in _needs(found)
                if (needed, name) in down
            ]
            if reasons:
                down[kind, found.name] = tuple(reasons)
    return down


def _missing(found: Registered) -> tuple[str, ...]:
    noun = found.noun
    return noun.ownership.missing() if isinstance(noun, Owned) else ()


def _needs(found: Registered) -> list[tuple[Kind, str]]:
    match found.noun:
        case UseCase(ownership=ownership):
            return _owners(ownership)
        case Agent(use_case=use_case, ownership=ownership):
            return [("UseCase", use_case), *_owners(ownership)]
        case Capability(server=server, ownership=ownership):
            return [("Server", server), *_owners(ownership)]
        case MandateTemplate(use_case=use_case, agent=agent, grants=grants):
            named = dict.fromkeys(grant.capability for grant in grants)
            return [("UseCase", use_case), ("Agent", agent), *(("Capability", name) for name in named)]
        case Application(use_cases=use_cases, ownership=ownership):
            return [*(("UseCase", name) for name in use_cases), *_owners(ownership)]
        case Schedule(template=template, ownership=ownership):
            return [("MandateTemplate", template), *_owners(ownership)]
        case Workflow(ownership=ownership):
            return _owners(ownership)
        case _:
            return []


def _owners(ownership: Ownership) -> list[tuple[Kind, str]]:
    return [("Principal", ownership.owner), ("Principal", ownership.backup_owner)]


def _words(kind: Kind) -> str:
    return {"UseCase": "use case", "MandateTemplate": "mandate template"}.get(kind, kind.lower())


def _by_name(active: Sequence[Registered], kind: type[N]) -> MappingProxyType[str, N]:
    return MappingProxyType({found.name: found.noun for found in active if isinstance(found.noun, kind)})
