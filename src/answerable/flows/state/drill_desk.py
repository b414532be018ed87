"""What drills need beside the walk: where they are kept, what they run on, and whether a raise needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.shadow import Shadow
    from answerable.ports.drill_register import DrillRegister

    Tool = Callable[[dict[str, JSONValue]], Awaitable[dict[str, JSONValue]]]


WalkT = TypeVar("WalkT")


class DrillGround(Protocol[WalkT]):
    """Makes the walk that a drill runs on: every register, the ledger, clock and chance are those of the product; the
    documents are the shadow's, and so are the policies; the only tool is the given function; nobody is told of what
    waits for approval."""

    def __call__(self, walk: WalkT, shadow: Shadow, tool: Tool) -> WalkT:
        """Raises Malformed where the documents cannot be in force together."""
        ...


@dataclass(slots=True, kw_only=True)
class DrillState(Generic[WalkT]):
    """required: whether documents that raise a tier are refused until it was drilled; else that is told, on record.

    register: None where nothing is kept; then no drill counts, and none is run. ground: None likewise.
    """

    required: bool = False
    register: DrillRegister | None = None
    ground: DrillGround[WalkT] | None = None
