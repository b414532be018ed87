"""Inject faults into the ports to external systems: upstreams, and the channel to approvers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.action.outcome import Outcome
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.approval.approval import Approval
    from answerable.core.approval.notice import Notice
    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import PrincipalId
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.registry.documents.capability import Capability
    from answerable.ports.approval_channel import ApprovalChannel
    from answerable.ports.upstream import Progress, Upstream
    from answerable.testing.fault_injection import Trouble


class TroubledUpstream:
    """Implements ports.upstream.Upstream with faults. undone: the adapter fails before anything is sent; done:
    after."""

    def __init__(self, upstream: Upstream, trouble: Trouble) -> None:
        self._upstream, self._trouble = upstream, trouble

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """Return the definition; undone: unknown at this moment."""
        fault = self._trouble.next("upstream.definition")
        return None if fault == "undone" else self._upstream.definition(capability)

    def is_unread(self, capability: Capability) -> bool:
        return self._upstream.is_unread(capability)

    @property
    def is_running(self) -> bool:
        return self._upstream.is_running

    @property
    def generation(self) -> int:
        return self._upstream.generation

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        return self._upstream.tools(server)

    async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
        """Perform the action, with injected faults."""
        fault = self._trouble.next("upstream.perform")
        if fault == "undone":
            raise ConnectionError("on purpose")
        outcome = await self._upstream.perform(warrant, progress=progress)
        if fault == "crash_after":
            self._trouble.crash()
        if fault == "done":
            raise ConnectionError("on purpose")
        return outcome


class TroubledChannel:
    """Implements ports.approval_channel.ApprovalChannel, but raises its faults, which the port forbids."""

    def __init__(self, channel: ApprovalChannel, trouble: Trouble) -> None:
        self._channel, self._trouble = channel, trouble

    def announce(self, approval: Approval, *, to: Sequence[PrincipalId] | None = None, step: int = 0) -> None:
        self._trouble.call("channel.announce", lambda: self._channel.announce(approval, to=to, step=step))

    def notify(self, notice: Notice) -> None:
        self._trouble.call("channel.notify", lambda: self._channel.notify(notice))
