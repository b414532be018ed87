"""What drills need beside the walk: their register, the walk they run on, and whether raising a tier requires one."""

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
    """Builds the walk that a drill runs on.

    Registers, ledger, clock and entropy are the product's. Documents and policies are the shadow's. The only tool is
    the given function. Nobody is notified of approvals.
    """

    def __call__(self, walk: WalkT, shadow: Shadow, tool: Tool) -> WalkT:
        """Raises Malformed if the documents cannot be in force together."""
        ...


@dataclass(slots=True, kw_only=True)
class DrillState(Generic[WalkT]):
    """Settings and register of drills.

    `required`: whether documents that raise a tier are refused until it was drilled; otherwise the missing drill is
    reported and recorded.

    `register`: None if nothing is stored; then no drill counts and none runs. `ground`: likewise.
    """

    required: bool = False
    register: DrillRegister | None = None
    ground: DrillGround[WalkT] | None = None
