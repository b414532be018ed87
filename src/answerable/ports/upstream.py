"""Port: the systems on which effects happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.registry.documents.capability import Capability

    Progress = Callable[[float, float | None, str | None], Awaitable[None]]


class Upstream(Protocol):
    """Promises: `perform` redeems the warrant before anything is sent, sends exactly the frozen action it yields, once,
    and answers within the server's `call_seconds_max`; a failure after sending is `indeterminate`, before it
    `not_started`; nothing another caller does, and no failing upstream, changes the answer.

    Raises nothing but Broken (`warrant.spent`) and Refused (`warrant.expired`); cancellation passes through after the
    upstream was told.
    """

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """What the upstream says about this capability's target, or None while that is not known."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether connections to servers are held in this process. While they are not, what servers offer is not known
        here, which is no word of theirs."""
        ...

    @property
    def generation(self) -> int:
        """Another number whenever what `tools` says may be something else."""
        ...

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        """The tools that a server listed last and that may be offered, as it described them, by name; None while the
        server is not known or has not listed anything yet. It is what callers are shown."""
        ...

    async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
        """Redeem the warrant and perform its action."""
        ...
