"""Parse the limits of a whole MandateTemplate: kinds of action, data ceiling, and delegation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.registry.documents.capability import ACTION_KINDS, ActionKind, Sensitivity
from answerable.core.registry.documents.documents import (
    DELEGATION_DEPTH_MAX,
    DELEGATION_RECEIVERS_MAX,
    DELEGATION_WIDTH_MAX,
    DelegationTemplate,
)
from answerable.core.registry.documents.fields import nearest
from answerable.core.registry.parsing.spec_shared import name_of
from answerable.errors import shown
from answerable.errors.codes.documents import DOCUMENT_CHOICE
from answerable.errors.codes.registry import TEMPLATE_DELEGATION

if TYPE_CHECKING:
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import MandateTemplate
    from answerable.core.registry.documents.fields import Fields

DELEGATION_KEYS: Final = ("depthMax", "widthMax", "agents", "useCases", "groups")

_SENSITIVITIES: Final[tuple[Sensitivity, ...]] = get_args(Sensitivity)


def ceiling_in(spec: Fields) -> Sensitivity | Literal[""]:
    """Read the most sensitive data that a mandate may touch; empty for no limit."""
    return spec.choice("ceiling", _SENSITIVITIES) if spec.has("ceiling") else ""


def kinds_in(spec: Fields) -> tuple[ActionKind, ...]:
    """Read the kinds of action that a mandate is for; empty for all."""

    def check(text: str) -> None:
        if text not in ACTION_KINDS:
            raise DOCUMENT_CHOICE(f"{shown(text)} is not a kind of action{nearest(text, ACTION_KINDS)}")

    texts = spec.texts("kinds", check=check)
    return tuple(kind for text in texts for kind in ACTION_KINDS if kind == text)


def delegation_in(spec: Fields) -> DelegationTemplate | None:
    """Read how far a mandate may be handed on; None if it may not."""
    if not spec.has("delegation"):
        return None
    section = spec.section("delegation", DELEGATION_KEYS)
    found = DelegationTemplate(
        depth_max=section.integer("depthMax", minimum=1, maximum=DELEGATION_DEPTH_MAX, default=1),
        width_max=section.integer("widthMax", minimum=1, maximum=DELEGATION_WIDTH_MAX, default=1),
        agents=section.texts("agents", check=name_of("agent")),
        use_cases=section.texts("useCases", check=name_of("use case")),
        groups=section.texts("groups", check=name_of("group")),
    )
    count = len(found.agents) + len(found.use_cases) + len(found.groups)
    if not 1 <= count <= DELEGATION_RECEIVERS_MAX:
        section.fault(
            f"name the receivers: 1 to {DELEGATION_RECEIVERS_MAX} names in `agents`, `useCases` and `groups`",
            code=TEMPLATE_DELEGATION.id,
        )
    return found


def unreachable(template: MandateTemplate, capability: Capability) -> str | None:
    """Return why a granted capability could never be used under the template's own limits, or None if it could."""
    name = f"capability {shown(capability.name)}"
    if template.systems and capability.server not in template.systems:
        return f"{name} is on {shown(capability.server)}, which is not among the template's systems"
    if template.kinds and capability.kind not in template.kinds:
        return f"{name} is of kind {capability.kind}, which is not among the template's kinds"
    order = _SENSITIVITIES.index
    if template.ceiling and order(capability.sensitivity) > order(template.ceiling):
        return f"{name} touches {capability.sensitivity} data, the template allows {template.ceiling} at most"
    return None
