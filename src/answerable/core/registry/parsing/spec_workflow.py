"""Parse the spec of a Workflow document: software that answers approvals and that its owner declares not to be an AI.

Laws: the declaration is explicit, since it cannot be measured; a set of selectors with a program alone matches
everybody who may start that program, so a set for a local process must also name its user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from answerable.core.registry.documents.documents import Workflow
from answerable.core.registry.manifests.manifest import TIER_MAX
from answerable.core.registry.parsing.spec_agent import attestation_in
from answerable.core.registry.parsing.spec_shared import keys_in, name_of, ownership_in
from answerable.errors.codes.documents import DOCUMENT_MISSING
from answerable.errors.codes.people import WORKFLOW_AI, WORKFLOW_ATTESTATION

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

WORKFLOW_KEYS: Final = (
    "purpose",
    "ai",
    "groups",
    "capabilities",
    "tierMax",
    "keys",
    "attestation",
    "status",
    "ownership",
)
TIER_MAX_DEFAULT: Final = 1
UID_SELECTOR: Final = "unix:uid:"


def workflow_in(spec: Fields, name: str) -> Workflow:
    """Read the spec of a workflow. Records every fault."""
    statuses: tuple[Literal["active", "disabled"], ...] = ("active", "disabled")
    if not spec.has("ai"):
        message = "write `ai: false`, by which its owner declares that no AI model decides"
        spec.fault(message, "ai", code=DOCUMENT_MISSING.id)
    elif spec.flag("ai", default=True):
        spec.fault("an AI cannot be an approver: register it as an Agent", "ai", code=WORKFLOW_AI.id)
    groups = spec.texts("groups", check=name_of("group"))
    if not groups:
        spec.fault("a workflow needs the groups that it answers for", "groups", code=DOCUMENT_MISSING.id)
    capabilities = spec.texts("capabilities", check=name_of("capability"))
    if not capabilities:
        message = "a workflow needs the capabilities that it may answer for"
        spec.fault(message, "capabilities", code=DOCUMENT_MISSING.id)
    sets = attestation_in(spec)
    for index, chosen in enumerate(sets):
        unix = any(one.startswith("unix:") for one in chosen)
        if unix and not any(one.startswith(UID_SELECTOR) for one in chosen):
            message = f"name the user that it runs as, `{UID_SELECTOR}N`, since any user may start a program"
            spec.fault(message, "attestation", index, code=WORKFLOW_ATTESTATION.id)
    return Workflow(
        name=name,
        purpose=spec.text("purpose"),
        groups=groups,
        capabilities=capabilities,
        tier_max=spec.integer("tierMax", minimum=0, maximum=TIER_MAX, default=TIER_MAX_DEFAULT),
        keys=keys_in(spec),
        attestation=sets,
        status=spec.choice("status", statuses, default="active"),
        ownership=ownership_in(spec),
    )
