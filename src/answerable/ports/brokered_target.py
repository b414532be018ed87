"""Port: a system on which the broker acts for agents, with the credentials of leases, never with the broker's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential, Performed
    from answerable.ports.upstream import Progress

PORT = "brokered_target"


class TargetSession(Protocol):
    """One open connection with one credential. Promises: one call at a time; sends exactly what the arguments say, in a
    form that the target reads as one statement, command or request, never as several."""

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Perform the call and return its result. tag: the action's id, placed where the target logs it if the
        arguments cannot alter it there; empty for none. Results are bounded and marked when truncated.

        A refusal by the target is a result (`isError`) with the target's text, without secrets. Cancellation tells the
        target to stop. Raises Refused (`target.arguments`, nothing was sent) and Unavailable (`target.*`) with effect
        `none` when nothing was sent and `unknown` otherwise.
        """
        ...


class BrokeredTarget(Protocol):
    """Promises: no side effects at import or construction; connections exist only inside `connected`."""

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Return the target's tools as MCP describes them (name, title, description, inputSchema, annotations with all
        four hints). Constant while the process runs."""
        ...

    def connected(self, credential: Credential) -> AbstractAsyncContextManager[TargetSession]:
        """Open a session that ends with the block. Entering raises Unavailable (`target.*`, effect `none`)."""
        ...
