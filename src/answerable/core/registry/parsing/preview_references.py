"""Check that the capability named by a `preview` can preview effects without having any.

Laws: it is a reading tool of the same server, without any risk; where a broker acts, its credential equals that of the
action itself, for one call; its answer concerns the same person's data, so that it is stored under the same key.
Whether the server itself declares the tool read-only is checked at every use, since the server may change that at any
time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.documents.fields import near
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.registry.parsing.parse import Shapes

CODE: Final = "capability.preview"


def preview_faults(capability: Capability, shapes: Shapes) -> Iterator[tuple[str, str, str]]:
    """Yield path, code and message of each fault of the capability's `preview`. Never raises."""
    if capability.preview is None or not capability.preview.capability:
        return
    at, name = "/spec/preview/capability", capability.preview.capability
    if ("Capability", name) not in shapes.declared:
        known = tuple(sorted(other for kind, other in shapes.declared if kind == "Capability"))
        yield at, "reference.missing", f"no Capability is called {shown(name)}{near(name, known)}"
        return
    for found in shapes.nouns:
        if isinstance(found.noun, Capability) and found.noun.name == name:
            for message in _unfit(capability, found.noun):
                yield at, CODE, message


def _unfit(action: Capability, preview: Capability) -> Iterator[str]:
    name = shown(preview.name)
    if preview.name == action.name:
        yield "a capability cannot be its own preview"
        return
    if preview.server != action.server or preview.environment != action.environment:
        yield f"{name} is on another server or environment, so it cannot preview this action"
    if preview.method != "tools/call":
        yield f"{name} is not a tool: only a tool can be a preview"
    if preview.kind != "read" or preview.tier != 0:
        yield f"{name} is of kind {preview.kind} and tier {preview.tier}: a preview reads (`read`) and has no risk (0)"
    if preview.preview is not None:
        yield f"{name} has a preview itself, so it cannot be a preview"
    if preview.credential_answers:
        yield f"{name} answers with credentials (`credentials.answers`), which no card may show"
    if preview.subject != action.subject:
        yield (
            f"{name} has another data subject (`subject`): the card would be encrypted under the wrong key"
        )
    grants = [one.lease.grants if one.lease is not None else None for one in (action, preview)]
    if grants[0] != grants[1]:
        yield f"the credential of {name} is another (`lease.grants`): it must be able to do what this action's can"
    if preview.lease is not None and preview.lease.window != "action":
        yield f"the credential of {name} would outlive its question (`lease.window`): let it serve one action"
