"""Capabilities: one kind of action on one upstream that a mandate can name and a policy can decide.

Laws: targets are matched exactly, or by a URI template whose variables take one path segment each; policy cannot see
what the capability does not expose; an argument that neither schema nor capability allows is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from answerable.core.registry.documents.destination import NO_DESTINATION, DestinationMapping
from answerable.core.registry.documents.lease_template import LeaseTemplate
from answerable.core.registry.documents.ownership import UNOWNED, Ownership
from answerable.core.registry.documents.preview_mapping import PreviewMapping
from answerable.core.registry.documents.spending import UNDECLARED, SpendMapping

ActionKind = Literal[
    "read", "write", "delete", "execute", "pay", "communicate", "egress", "delegate", "admin"
]
"""communicate: informing people or agents. egress: fetching a page or calling a host, which sends data, too. delegate:
handing work on. admin: changing who may do what."""
ACTION_KINDS: Final[tuple[ActionKind, ...]] = get_args(ActionKind)
KIND_VERBS: Final[dict[ActionKind, str]] = {"egress": "reach other hosts", "admin": "administer"}
"""Verbs for kinds whose name is not a verb."""
ArgumentType = Literal["string", "boolean", "integer", "minor_units", "decimal", "string_set"]
Sensitivity = Literal["public", "internal", "confidential", "restricted"]

GOVERNED_METHODS = (
    "tools/call",
    "resources/read",
    "prompts/get",
    "completion/complete",
    "resources/subscribe",
    "subscriptions/listen",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentMapping:
    """How one argument appears to policy, under `context.arguments.<name>`.

    type: `integer` and `minor_units` become Cedar Long, `decimal` (a decimal string with at most four places) becomes
    the Cedar decimal extension, `string_set` a Set of String. Floats have no mapping, since Cedar has none. pointer:
    its place in the tool's arguments, as `pointing` reads it; empty for the member of that name.
    """

    name: str
    type: ArgumentType
    required: bool = False
    pointer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMapping:
    """Which Cedar entity an action touches: `type::"<value of argument>"`, or `type::"<fixed>"`."""

    type: str
    argument: str = ""
    fixed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectMapping:
    """Whose personal data an action is about: the entity of type `type` that the argument names. Empty: the mandate's
    principal."""

    type: str = ""
    argument: str = ""


PRINCIPAL_IS_SUBJECT = SubjectMapping()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteMapping:
    """A capability that executes objects prepared by another one. prepared_by: that capability, on the same server.

    argument: receives the digest from the agent, and carries the prepared bytes to the tool. digest_argument: carries
    their `sha256:<hex>` to the tool, so that it can compare; empty if the tool takes none.
    """

    prepared_by: str
    argument: str
    digest_argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """A registered capability. name: as in mandates and policies. target: tool name, prompt name, or resource URI
    template.

    open_members: top-level argument members allowed although the upstream's schema does not name them. tier: 0 (no
    risk) to 3 (critical). idempotent: the upstream may be called twice without harm. spending: what its actions take of
    budgets. credential_arguments: arguments in which a credential may pass to the tool. credential_answers: whether a
    credential in the tool's answer may pass to the agent. definition: SHA-256, hex, of the permitted tool definition,
    if the document pins one. unhinted_accepted: hints that the server omits do not raise the tier. lease: what its
    credential may do, where a broker acts for it. preview: the capability that previews the effects of its actions.
    executes: the capability that prepares what it executes; None if agents pass everything themselves.
    """

    name: str
    server: str
    method: str
    target: str
    kind: ActionKind
    environment: str
    tier: int
    sensitivity: Sensitivity
    resource: ResourceMapping
    arguments: tuple[ArgumentMapping, ...] = ()
    open_members: tuple[str, ...] = ()
    reversible: bool = False
    title: str = ""
    subject: SubjectMapping = PRINCIPAL_IS_SUBJECT
    destination: DestinationMapping = NO_DESTINATION
    ownership: Ownership = UNOWNED
    spending: SpendMapping = UNDECLARED
    credential_arguments: tuple[str, ...] = ()
    credential_answers: bool = False
    definition: str = ""
    unhinted_accepted: bool = False
    lease: LeaseTemplate | None = None
    preview: PreviewMapping | None = None
    executes: ExecuteMapping | None = None
