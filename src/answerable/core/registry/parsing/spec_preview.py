"""Parse `preview` of a Capability document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.pointing import POINTER, word_fault
from answerable.core.registry.documents.preview_mapping import PreviewMapping
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME, name_of
from answerable.errors import shown
from answerable.errors.codes.registry import CAPABILITY_PREVIEW

if TYPE_CHECKING:
    from answerable.core.registry.documents.fields import Fields

PREVIEW_KEYS: Final = ("capability", "arguments")
ARGUMENTS_MAX: Final = 50


def preview_in(spec: Fields, method: str) -> PreviewMapping | None:
    """Read `preview`; None if absent. Records faults."""
    if not spec.has("preview"):
        return None
    if method != "tools/call":
        spec.fault("only a tool can have a preview", "preview", code=CAPABILITY_PREVIEW.id)
    preview = spec.section("preview", PREVIEW_KEYS)
    capability = preview.text("capability", check=name_of("capability"))
    if not preview.has("arguments"):
        return PreviewMapping(capability=capability)
    pairs = preview.pairs("arguments")
    if len(pairs) > ARGUMENTS_MAX:
        message = f"expected at most {ARGUMENTS_MAX} arguments, got {len(pairs)}"
        preview.fault(message, "arguments", code=CAPABILITY_PREVIEW.id)
    found: list[tuple[str, str]] = []
    for name, place in pairs:
        if not isinstance(place, str) or not (ARGUMENT_NAME.fullmatch(place) or POINTER.fullmatch(place)):
            message = (
                f"{shown(name)} is taken from an argument of the action: write its name, or a JSON pointer such as "
                "`/payment/amount`"
            )
            preview.fault(message, "arguments", name, code=CAPABILITY_PREVIEW.id)
            continue
        if fault := word_fault(place):
            preview.fault(fault, "arguments", name, code=CAPABILITY_PREVIEW.id)
        found.append((name, place))
    return PreviewMapping(capability=capability, arguments=tuple(found))
