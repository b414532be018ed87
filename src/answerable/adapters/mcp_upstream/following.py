"""Subscribe to the server notifications that callers wait for, in both eras of the protocol."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

import anyio
import mcp_types
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from answerable.adapters.mcp_upstream.asking import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.client.session import ClientSession, IncomingMessage
    from mcp.client.subscriptions import Subscription

    from answerable.adapters.mcp_upstream.live import Live
    from answerable.adapters.mcp_upstream.watches import Watches

    Changed = Callable[[str, str], None]

TOOLS_CHANGED: Final = "notifications/tools/list_changed"
PROMPTS_CHANGED: Final = "notifications/prompts/list_changed"
RESOURCES_CHANGED: Final = "notifications/resources/list_changed"
RESOURCE_UPDATED: Final = "notifications/resources/updated"
ANSWER_SECONDS_MAX: Final = 10.0
RETRY_SECONDS: Final = 5.0


def notification_of(message: IncomingMessage) -> tuple[str, str] | None:
    """Return method and URI of a change that a session-based server announces; None for any other message."""
    match message:
        case mcp_types.ToolListChangedNotification():
            return TOOLS_CHANGED, ""
        case mcp_types.PromptListChangedNotification():
            return PROMPTS_CHANGED, ""
        case mcp_types.ResourceListChangedNotification():
            return RESOURCES_CHANGED, ""
        case mcp_types.ResourceUpdatedNotification(params=params):
            return RESOURCE_UPDATED, str(params.uri)
    return None


async def follow(live: Live, watches: Watches, changed: Changed) -> None:
    """Subscribe to wanted resources, unsubscribe from others, and report events, until the connection ends."""
    if live.session.protocol_version in MODERN_PROTOCOL_VERSIONS:
        await _follow_stream(live, watches, changed)
    else:
        await _follow_session(live, watches)


async def _follow_session(live: Live, watches: Watches) -> None:
    while True:
        watches.changed = anyio.Event()
        changed = watches.changed
        wanted = watches.wanted
        for uri in live.acknowledged - wanted:
            await _tell(live.session, "resources/unsubscribe", uri)
        done = live.acknowledged & wanted
        for uri in wanted - live.acknowledged:
            if await _tell(live.session, "resources/subscribe", uri):
                done |= {uri}
        _settle(live, done, wanted)
        await changed.wait()


async def _tell(session: ClientSession, method: str, uri: str) -> bool:
    with anyio.move_on_after(ANSWER_SECONDS_MAX):
        try:
            await ask(session, method, {"uri": uri})
        except (MCPError, ValueError):
            return False
        return True
    return False


async def _follow_stream(live: Live, watches: Watches, changed: Changed) -> None:
    """Hold one `subscriptions/listen` stream at a time. When the wanted set changes, open the next stream before
    closing the last. A stream that follows a lost one reports every list as changed."""
    missed = False
    async with AsyncExitStack() as last:
        while True:
            watches.changed = anyio.Event()
            wish = watches.changed
            wanted = watches.wanted
            flags = _flags(live.session)
            if not wanted and not any(flags.values()):
                _settle(live, frozenset(), wanted)
                await last.aclose()
                await wish.wait()
                continue
            async with AsyncExitStack() as opening:
                stream = await _open(live.session, opening, wanted, flags)
                if stream is not None:
                    await last.aclose()
                    last.push_async_exit(opening.pop_all())
                    if missed:
                        # What changed while no stream was open was announced to nobody.
                        _report_all(flags, changed)
                    missed = False
            honored = frozenset(stream.honored.resource_subscriptions or ()) if stream else frozenset()
            _settle(live, honored, wanted)
            if stream is None or not await _passed_on(stream, wish, changed):
                # Not served or lost: retry after a pause, or when the wanted set changes.
                missed = True
                with anyio.move_on_after(RETRY_SECONDS):
                    await wish.wait()


def _report_all(flags: dict[str, bool], changed: Changed) -> None:
    for name, method in (
        ("tools", TOOLS_CHANGED),
        ("prompts", PROMPTS_CHANGED),
        ("resources", RESOURCES_CHANGED),
    ):
        if flags[name]:
            changed(method, "")


async def _open(
    session: ClientSession, opening: AsyncExitStack, wanted: frozenset[str], flags: dict[str, bool]
) -> Subscription | None:
    stream = listen(
        session,
        tools_list_changed=flags["tools"],
        prompts_list_changed=flags["prompts"],
        resources_list_changed=flags["resources"],
        resource_subscriptions=sorted(wanted),
    )
    with anyio.move_on_after(ANSWER_SECONDS_MAX):
        try:
            return await opening.enter_async_context(stream)
        except (MCPError, SubscriptionLost, TimeoutError):
            return None
    return None


async def _passed_on(stream: Subscription, wish: anyio.Event, changed: Changed) -> bool:
    """Report events until the wanted set changes (True) or the stream ends (False)."""
    ended = False
    async with anyio.create_task_group() as tasks:

        async def pass_on() -> None:
            nonlocal ended
            try:
                async for event in stream:
                    match event:
                        case ToolsListChanged():
                            changed(TOOLS_CHANGED, "")
                        case PromptsListChanged():
                            changed(PROMPTS_CHANGED, "")
                        case ResourcesListChanged():
                            changed(RESOURCES_CHANGED, "")
                        case ResourceUpdated(uri=uri):
                            changed(RESOURCE_UPDATED, uri)
            except SubscriptionLost:
                pass
            ended = True
            tasks.cancel_scope.cancel()

        tasks.start_soon(pass_on)
        await wish.wait()
        tasks.cancel_scope.cancel()
    return not ended


def _flags(session: ClientSession) -> dict[str, bool]:
    declared = session.server_capabilities or mcp_types.ServerCapabilities()
    return {
        "tools": bool(declared.tools and declared.tools.list_changed),
        "prompts": bool(declared.prompts and declared.prompts.list_changed),
        "resources": bool(declared.resources and declared.resources.list_changed),
    }


def _settle(live: Live, acknowledged: frozenset[str], tried: frozenset[str]) -> None:
    """Record which resources the server now follows, and wake the callers that wait for that."""
    live.acknowledged, live.tried = acknowledged, tried
    settled, live.settled = live.settled, anyio.Event()
    settled.set()
