"""Manage all MCP upstreams: implement the port `Upstream`, and answer the gateway's queries about servers and lists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from answerable.adapters.mcp_upstream.catalogue import LIST_METHODS
from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.core.registry.tools.tool_pin import TOOLS_CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from anyio.abc import TaskGroup, TaskStatus

    from answerable.adapters.mcp_upstream.link import Link
    from answerable.adapters.mcp_upstream.watches import Listener, Watch
    from answerable.core.action.outcome import Outcome
    from answerable.core.action.tool_definition import ToolDefinition
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.warrant import Warrant
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Server
    from answerable.ports.clock import Clock
    from answerable.ports.upstream import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """Human-readable state of one server.

    state: `connecting`, `up` or `down`. fault: why it was last down. refused: entries that it may not offer.
    stderr: the last lines that a stdio server wrote.
    """

    name: str
    state: str
    fault: str
    tools: int
    refused: tuple[str, ...]
    stderr: tuple[str, ...]


class McpUpstream:
    """Implements ports.Upstream over any number of MCP servers. Nothing is connected until `run` runs."""

    def __init__(
        self,
        *,
        clock: Clock,
        settings: UpstreamSettings | None = None,
        sign_warrant: Callable[[Warrant], str] | None = None,
    ) -> None:
        """sign_warrant: signs the warrants without which a broker does nothing; None if there is no broker."""
        self._clock = clock
        self._sign_warrant = sign_warrant
        self._settings = settings or UpstreamSettings()
        self._links: dict[str, Link] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._wanted: dict[str, Server] = {}
        self._applied = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._generation = 0

    # --- life ---

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep every server connected until cancelled. A failing server stops neither this task nor other servers."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self.apply(self._wanted.values())
            task_status.started()
            await anyio.sleep_forever()

    def apply(self, servers: Iterable[Server]) -> None:
        """Set the servers: connect new ones, reconnect changed ones, disconnect missing ones."""
        self.expect(servers)
        if self._tasks is None:
            return
        self._listed()
        watches = {name: link.watches for name, link in self._links.items()}
        for name, link in list(self._links.items()):
            if self._wanted.get(name) != link.server:
                self._scopes.pop(name).cancel()
                del self._links[name]
        for name, server in self._wanted.items():
            if name not in self._links:
                link = self._links[name] = link_kind()(
                    # Callers that wait for changes continue to wait when a server is registered again.
                    server,
                    settings=self._settings,
                    watches=watches.get(name),
                    listed=self._listed,
                )
                scope = self._scopes[name] = anyio.CancelScope()
                self._tasks.start_soon(_run_in, scope, link)
        self._applied.set()
        self._applied = anyio.Event()

    def expect(self, servers: Iterable[Server]) -> None:
        """Know the servers that `apply` will connect in a moment. Callers wait for them as for one that starts."""
        self._wanted = {server.name: server for server in servers}

    async def ready(self, *, seconds_max: float) -> tuple[str, ...]:
        """Wait, at most `seconds_max`, until every server is up. Return the names of those that are not."""
        with anyio.move_on_after(seconds_max):
            for link in list(self._links.values()):
                while link.state != "up":
                    await link.next_state()
        return tuple(name for name, link in self._links.items() if link.state != "up")

    def states(self) -> tuple[ServerState, ...]:
        """Return the state of every server, by name."""
        return tuple(_state_of(self._links[name]) for name in sorted(self._links))

    # --- the port ---

    def definition(self, capability: Capability) -> ToolDefinition | None:
        """Return the definition by the server's last list, also while the server restarts; None for a tool while
        changed tools are unread."""
        link = self._links.get(capability.server)
        if link is None or link.catalogue is None or self.is_unread(capability):
            return None
        return link.catalogue.definition(capability)

    def is_unread(self, capability: Capability) -> bool:
        """Whether no list of the server was read yet, or it has announced other tools."""
        link = self._links.get(capability.server)
        if link is None or link.catalogue is None:
            return True
        return link.is_stale and capability.method == TOOLS_CALL

    @property
    def is_running(self) -> bool:
        return self._tasks is not None

    @property
    def generation(self) -> int:
        """A number that changes whenever a list was read or a server was added or removed."""
        return self._generation

    def tools(self, server: str) -> Mapping[str, JSONValue] | None:
        """Return the tools of the same list that callers receive."""
        link = self._links.get(server)
        return None if link is None or link.catalogue is None else link.catalogue.entries["tools"]

    def _listed(self) -> None:
        self._generation += 1

    async def perform(self, warrant: Warrant, *, progress: Progress | None = None) -> Outcome:
        """Redeem the warrant and perform its action. Raises Broken (`warrant.spent`, `action.method`), Refused
        (`warrant.expired`)."""
        from answerable.adapters.mcp_upstream.performing import perform_on

        link = self._links.get(warrant.server)
        return await perform_on(
            link,
            warrant,
            now=self._clock.now(),
            result_bytes_max=self._settings.result_bytes_max,
            sign_warrant=self._sign_warrant,
            progress=progress,
        )

    # --- for the gateway's listener ---

    def serves(self, server: str) -> bool:
        """Whether a server of this exact name is registered."""
        return server in self._wanted

    def capabilities(self, server: str) -> dict[str, JSONValue]:
        """Return the capabilities that the server declared at its last connection; empty before the first."""
        link = self._links.get(server)
        return {} if link is None else link.capabilities

    def instructions(self, server: str) -> str:
        """Return the server's instructions for its use; empty if it has none."""
        link = self._links.get(server)
        return "" if link is None else link.instructions

    async def entries(self, server: str, method: str) -> list[dict[str, JSONValue]] | None:
        """Return every entry that may be offered for a list method; None while the server is unknown.

        Waits as `settled` does. This is the same list from which definitions are made. If the server does not announce
        changes and the list is older than `catalogue_seconds_max`, the list is read again first.
        """
        await self.settled(server, tools=True)
        link = self._links.get(server)
        if link is None or link.catalogue is None:
            return None
        if not link.announces(method):
            await link.refresh(seconds_max=self._settings.catalogue_seconds_max)
        return list(link.catalogue.entries[LIST_METHODS[method]].values())

    async def relist(self) -> None:
        """Read the lists again of servers that do not announce changes to us, if they are older than
        `catalogue_seconds_max`, so that changes are found even if no caller requests a list. Never raises."""
        async with anyio.create_task_group() as tasks:
            for link in list(self._links.values()):
                if link.state == "up" and not link.announces("tools/list"):
                    tasks.start_soon(partial(link.refresh, seconds_max=self._settings.catalogue_seconds_max))

    async def settled(self, server: str, *, tools: bool) -> None:
        """Wait, at most `connect_wait_seconds`, until the first reading of a server's lists has ended. tools: also
        until tools that it announced have been read; until then it offers none."""
        if server in self._wanted and server not in self._links and self.is_running:
            with anyio.move_on_after(self._settings.connect_wait_seconds):
                await self._applied.wait()
        link = self._links.get(server)
        if link is not None and (link.is_starting or (tools and link.is_stale)):
            await link.settled(seconds_max=self._settings.connect_wait_seconds, tools=tools)

    def input_schema(self, server: str, tool: str) -> JSONValue:
        """Return a tool's input schema as listed; None if the tool is not offered."""
        link = self._links.get(server)
        found = (
            link.catalogue.entry("tools", tool) if link is not None and link.catalogue is not None else None
        )
        return None if found is None else found.get("inputSchema")

    def watch(self, server: str, listener: Listener) -> Watch | None:
        """Register `listener(method, uri)` for changes; None if the server is unknown. The caller must close the
        watch."""
        link = self._links.get(server)
        return None if link is None else link.watches.open(listener)


def link_kind() -> type[Link]:
    """Import what connects to servers, the MCP SDK above all: a process without servers has no use for its memory.

    That takes up to a second, so a process that serves calls this in a thread first.
    """
    from answerable.adapters.mcp_upstream.link import Link

    return Link


async def _run_in(scope: anyio.CancelScope, link: Link) -> None:
    with scope:
        await link.run()


def _state_of(link: Link) -> ServerState:
    catalogue = link.catalogue
    return ServerState(
        name=link.server.name,
        state=link.state,
        fault=link.fault,
        tools=len(catalogue.entries["tools"]) if catalogue else 0,
        refused=catalogue.refused if catalogue else (),
        stderr=link.log.tail(),
    )
