"""Registered documents, and what they declare."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType, field

from answerable.api.members import Component, Count, Document, Part, Texts, words


class Registered(Component, frozen=True, kw_only=True):
    """A registered document. reasons: why it is not active."""

    kind: str
    name: str
    active: bool
    reasons: Texts
    document: Document


class Documents(Component, frozen=True, kw_only=True):
    """Documents to apply. prune: whether others are removed."""

    documents: tuple[Document, ...]
    prune: bool | UnsetType = UNSET


class DocumentChange(Part, frozen=True, kw_only=True):
    """A document that changes."""

    kind: str
    name: str
    how: Annotated[str, words("added", "changed", "removed")]


class InactiveDocument(Part, frozen=True, kw_only=True):
    """A document that is not active, and why."""

    kind: str
    name: str
    missing: Texts
    reasons: Texts


class UndrilledTier(Part, frozen=True, kw_only=True):
    """A tier that rose without the drills that it needs."""

    kind: str
    name: str
    from_: Count = field(name="from")
    to: Count
    commands: Texts


class Applied(Component, frozen=True, kw_only=True):
    """What applying changes. void: what ended by it."""

    changes: tuple[DocumentChange, ...]
    inactive: tuple[InactiveDocument, ...]
    before: str
    after: str
    void: Texts
    undrilled: tuple[UndrilledTier, ...]


class Finding(Part, frozen=True, kw_only=True):
    """Something to look at."""

    kind: str
    name: str
    code: str
    message: str


class RegistryCheck(Component, frozen=True, kw_only=True):
    """What is missing, and what should be looked at."""

    inactive: tuple[InactiveDocument, ...]
    findings: tuple[Finding, ...]


class OwnershipRow(Part, frozen=True, kw_only=True):
    """Who answers for it."""

    owner: str
    backup_owner: str
    approver_group: str
    audit_level: str
    review_date: str


class Agent(Component, frozen=True, kw_only=True):
    """A registered agent."""

    name: str
    use_case: str
    environment: str
    status: Annotated[str, words("active", "suspended", "retired")]
    active: bool
    reasons: Texts
    keys: Texts
    unix_uids: tuple[Count, ...]
    certificates: Texts
    standing: Annotated[str, words("active", "suspended", "retired", "inactive", "stopped", "revoked")]
    shares_account: bool
    ownership: OwnershipRow


class Server(Component, frozen=True, kw_only=True):
    """An upstream server and its state."""

    name: str
    transport: Annotated[str, words("stdio", "http", "broker")]
    target: str
    state: str
    active: bool
    reasons: Texts


class PreviewRow(Part, frozen=True, kw_only=True):
    """How an action is previewed."""

    capability: str
    arguments: dict[str, str] | None


class Capability(Component, frozen=True, kw_only=True):
    """A registered capability."""

    name: str
    title: str
    server: str
    method: str
    target: str
    kind: Annotated[
        str, words("read", "write", "delete", "execute", "pay", "communicate", "egress", "delegate", "admin")
    ]
    environment: str
    tier: Count
    unhinted_accepted: bool
    sensitivity: str
    preview: PreviewRow | None
    active: bool
    reasons: Texts
    ownership: OwnershipRow


class TemplateParameter(Part, frozen=True, kw_only=True):
    """A value that a template takes."""

    name: str
    pattern: str
    type: str
    title: str


class Template(Component, frozen=True, kw_only=True):
    """A mandate template."""

    name: str
    use_case: str
    agent: str
    purpose: str
    environment: str
    capabilities: Texts
    parameters: tuple[TemplateParameter, ...]
    calls_max: Count
    budgets: dict[str, str]
    ttl_seconds: Count
    active: bool
    reasons: Texts
