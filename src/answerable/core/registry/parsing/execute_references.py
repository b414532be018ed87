"""Check pairs of capabilities of which one prepares an object and the other executes it.

Law: preparing can be repeated without harm, since it needs no approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.capability import Capability
from answerable.core.registry.parsing.spec_execute import CODE
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.core.registry.parsing.parse import Shapes

PREPARE_TIER_MAX: Final = 2


def execute_faults(capability: Capability, shapes: Shapes) -> Iterator[tuple[str, str, str]]:
    """Yield path, code and message of each fault between an executing capability and its preparing capability."""
    executes = capability.executes
    if executes is None:
        return
    at, name = "/spec/executes/preparedBy", executes.prepared_by
    prepares = next(
        (one.noun for one in shapes.nouns if isinstance(one.noun, Capability) and one.name == name), None
    )
    if prepares is None:
        return
    if name == capability.name:
        yield at, CODE, "a capability cannot prepare what it executes: use two tools"
        return
    if prepares.server != capability.server or prepares.method != "tools/call":
        message = f"{shown(name)} must be a tool of server {shown(capability.server)}, too"
        yield at, CODE, message
    if prepares.executes is not None:
        yield at, CODE, f"{shown(name)} executes prepared objects itself, so it cannot prepare them"
    if prepares.kind != "read" and not prepares.reversible:
        message = (
            f"{shown(name)} cannot be undone: a capability that prepares must be a `read` or `reversible`"
        )
        yield at, CODE, message
    if prepares.tier > min(PREPARE_TIER_MAX, capability.tier):
        message = (
            f"{shown(name)} has tier {prepares.tier}: a capability that prepares has at most tier "
            f"{PREPARE_TIER_MAX}, and at most that of the one that executes"
        )
        yield at, CODE, message
    amount = prepares.spending.amount
    if amount is not None and (amount.argument or amount.fixed):
        yield at, CODE, f"{shown(name)} moves money: a capability that prepares must move none"
