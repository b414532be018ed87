"""A tool pin register that approves unknown tools on first use, so that most tests need not approve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.adapters.sqlite import SqliteToolPinRegister
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.registry.tools.tool_approval import capabilities_of
from answerable.core.registry.tools.tool_pin import ToolPin
from answerable.testing.registers import fresh_store

if TYPE_CHECKING:
    from answerable.adapters.sqlite import SqliteStore
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.upstream import Upstream


class ApprovedAsSeen(SqliteToolPinRegister):
    """A register, in its own store unless one is passed in, that pins an unknown tool's present definition at its first
    lookup. Afterwards it behaves like any other register: changed definitions are blocked."""

    def __init__(
        self, registry: RegistryStore, upstream: Upstream, *, store: SqliteStore | None = None
    ) -> None:
        super().__init__(store or fresh_store())
        self._registry = registry
        self._upstream = upstream

    def current(self, server: str, tool: str) -> ToolPin | None:
        kept = super().current(server, tool)
        if kept is not None:
            return kept
        for capability in capabilities_of(self._registry.current, server, tool):
            definition = self._upstream.definition(capability)
            if definition is not None:
                pin = ToolPin(
                    server=server,
                    tool=tool,
                    definition=definition.digest,
                    text=definition.text,
                    at=UnixMillis(0),
                )
                self.put(pin, over="")
                return pin
        return None
