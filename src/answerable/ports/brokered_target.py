"""Port: a system that the broker acts on for agents, with credentials of leases, never with its own."""

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
    """One open connection with one credential. Promises: one call at a time; what it sends is what the arguments say,
    sent so that a target takes it for one statement, command or request and never for more."""

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Do it, and say what came of it. tag: the action's id, put where the target logs it if it can be put so that
        the arguments cannot change it; empty for none. Results are bounded, and say so where they were cut.

        What the target refuses is a result (`isError`), in its words, without secrets. Cancelling it tells the target
        to stop. Raises Refused (`target.arguments`, nothing was sent) and Unavailable (`target.*`) with effect `none`
        when nothing was sent and `unknown` else.
        """
        ...


class BrokeredTarget(Protocol):
    """Promises: nothing at import or construction; no connection but inside `connected`."""

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Its tools as MCP describes them (name, title, description, inputSchema, annotations with all four hints).
        Does not change while the process runs."""
        ...

    def connected(self, credential: Credential) -> AbstractAsyncContextManager[TargetSession]:
        """A session that ends with the block. Entering it raises Unavailable (`target.*`, effect `none`)."""
        ...
