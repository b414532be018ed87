"""What drills need: their register, the parts they run on, and whether raising a tier requires one. And what documents
are applied with, drills among it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.core.canonical import JSONValue
    from answerable.core.containment.shadow import Shadow
    from answerable.flows.state.parts import Counters, LiveAccess, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.steps import Deciding, Planning
    from answerable.ports.drill_register import DrillRegister

    Tool = Callable[[dict[str, JSONValue]], Awaitable[dict[str, JSONValue]]]


class DrillGround(Protocol):
    """Builds the parts that a drill acts on.

    Registers, ledger, clock and entropy are the product's. Documents and policies are the shadow's. The only tool is
    the given function. Nobody is notified of approvals.
    """

    def __call__(self, shadow: Shadow, tool: Tool) -> tuple[Recorder, Planning, Deciding, LiveAccess]:
        """Raises Malformed if the documents cannot be in force together."""
        ...


@dataclass(slots=True, kw_only=True)
class DrillState:
    """Settings and register of drills.

    `required`: whether documents that raise a tier are refused until it was drilled; otherwise the missing drill is
    reported and recorded.

    `register`: None if nothing is stored; then no drill counts and none runs. `ground`: likewise.
    """

    required: bool = False
    register: DrillRegister | None = None
    ground: DrillGround | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applying:
    """What documents are checked with and take effect on: policies, drills that a tier requires, counts of trackers,
    and live access that ends with its agent."""

    policies: PolicyState
    drills: DrillState
    counters: Counters
    live: LiveAccess
