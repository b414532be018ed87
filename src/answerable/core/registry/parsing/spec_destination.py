"""Parse destinations: the `destination` of a Capability, and the allowed destinations of a grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.destination import (
    ARGUMENTS_MAX,
    DESTINATION_TYPES,
    NO_DESTINATION,
    DestinationMapping,
    checked_allowed,
    normalised,
)
from answerable.core.registry.documents.fields import matching
from answerable.core.registry.documents.placeholders import placeholders_in
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME
from answerable.errors import Malformed, shown
from answerable.errors.codes.documents import DOCUMENT_SIZE
from answerable.errors.codes.registry import CAPABILITY_DESTINATION

if TYPE_CHECKING:
    from answerable.core.registry.documents.destination import DestinationType
    from answerable.core.registry.documents.fields import Fields

DESTINATION_KEYS: Final = ("type", "arguments", "fixed")
ALLOWED_KEYS: Final = ("type", "oneOf")
ALLOWED_MAX: Final = 64
"""Most destinations of one grant."""


def destination_in(spec: Fields, method: str, variables: tuple[str, ...]) -> DestinationMapping:
    """Read the destination of a capability. Records faults, and never raises."""
    if not spec.has("destination"):
        return NO_DESTINATION
    section = spec.section("destination", DESTINATION_KEYS)
    kind = section.choice("type", DESTINATION_TYPES)
    arguments = section.texts("arguments", check=matching(ARGUMENT_NAME, "an argument name"))
    fixed = section.text("fixed", default="")
    if section.has("fixed") == section.has("arguments") or (section.has("arguments") and not arguments):
        section.fault(
            "a destination has either `arguments` that name it or a `fixed` one",
            code=CAPABILITY_DESTINATION.id,
        )
    if len(arguments) > ARGUMENTS_MAX:
        message = f"expected at most {ARGUMENTS_MAX} arguments, got {len(arguments)}"
        section.fault(message, "arguments", code=DOCUMENT_SIZE.id)
    for index, name in enumerate(arguments):
        if method == "resources/read" and name not in variables:
            message = f"the target has no variable {shown(name)}"
            section.fault(message, "arguments", index, code=CAPABILITY_DESTINATION.id)
    if fixed:
        try:
            fixed = normalised(kind, fixed)
        except Malformed as error:
            section.fault(error.message, "fixed", code=error.code)
    return DestinationMapping(type=kind, arguments=arguments, fixed=fixed)


def allowed_in(grant: Fields) -> tuple[DestinationType, tuple[str, ...]] | None:
    """Read the allowed destinations of a grant; texts may contain placeholders, whose values are checked when filled
    in."""
    if not grant.has("destinations"):
        return None
    section = grant.section("destinations", ALLOWED_KEYS)
    kind = section.choice("type", DESTINATION_TYPES)

    def check(text: str) -> None:
        if not placeholders_in(text):
            checked_allowed(kind, text)

    allowed = section.texts("oneOf", check=check)
    if not section.items("oneOf") or len(allowed) > ALLOWED_MAX:
        section.fault(f"expected 1 to {ALLOWED_MAX} destinations", "oneOf", code=DOCUMENT_SIZE.id)
    return kind, allowed
