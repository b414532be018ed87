"""Port: the upstream MCP servers and targets on which actions are performed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.registry.documents.capability import Capability

Progress = Callable[[float, float | None, str | None], Awaitable[None]]
"""Reports progress to the caller: how much is done, of how much, and a sentence."""


class Upstream(Protocol):
    """Promises: `perform` redeems the warrant before anything is sent, sends exactly the frozen action that the warrant
    yields, once, and answers within the server's `call_seconds_max`; a failure after sending is `indeterminate`, before
    it `not_started`; neither other callers nor other failing upstreams change the answer.

    Raises nothing but Broken (`warrant.spent`) and Refused (`warrant.expired`); cancellation is forwarded to the
    upstream before it propagates.
    """

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """Return the upstream's definition of this capability's target; None while it is unknown."""
        ...

    def is_unread(self, capability: Capability) -> bool:
        """Whether this process has yet to read the list that this capability is defined by: it has read none since it
        started, or the server has announced another one."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether this process holds the connections to servers. While it does not, missing tools say nothing about the
        servers."""
        ...

    @property
    def generation(self) -> int:
        """A number that changes whenever the result of `tools` may have changed."""
        ...

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        """Return the tools that a server listed last and that may be offered, as it described them, by name; None while
        the server is unknown or has not listed any yet. Callers are given this list."""
        ...

    async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
        """Redeem the warrant and perform its action."""
        ...
