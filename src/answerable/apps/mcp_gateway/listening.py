"""Handle `subscriptions/listen`, subscribe and unsubscribe: subscribing to a resource is governed like reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mcp_types
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY

from answerable.apps.mcp_gateway import translate
from answerable.apps.mcp_gateway.events import (
    LIST_CHANGES,
    UPDATED,
    EventQueue,
    Follower,
    Granted,
    notification,
)
from answerable.apps.mcp_gateway.requests import checked_params, listen_requests, request_of
from answerable.errors import Refused, shown
from answerable.errors.codes.action import UPSTREAM_UNKNOWN
from answerable.errors.codes.services import GATEWAY_NOTHING_GRANTED, GATEWAY_STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from mcp.server.context import ServerRequestContext

    from answerable.apps.mcp_gateway.arrival import Arrival
    from answerable.apps.mcp_gateway.services import GatewayLimits, GatewayServices, Watch
    from answerable.core.action.request import ActionRequest

    Start = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Listening:
    """Subscriptions at one upstream's server. start: runs a task as long as the server is open."""

    def __init__(self, server: str, needs: GatewayServices, limits: GatewayLimits, *, start: Start) -> None:
        self._server = server
        self._needs = needs
        self._limits = limits
        self._start = start
        self._streams: dict[str, int] = {}

    async def listen(self, ctx: ServerRequestContext[Any, Any], arrival: Arrival) -> dict[str, Any]:
        """Serve one event stream until its caller leaves. Raises the errors of the family."""
        flags, requests = listen_requests(arrival, self._server, uris_max=self._limits.uris_per_listen_max)
        agent = str(arrival.caller.agent)
        if self._streams.get(agent, 0) >= self._limits.listens_per_agent_max:
            raise GATEWAY_STREAMS(f"an agent has at most {self._limits.listens_per_agent_max} event streams")
        queue = EventQueue(self._limits.events_waiting_max)
        caller, mandate_id, delegation = arrival.task
        closed = self._needs.open_stream(
            caller, mandate_id, self._server, delegation=delegation, cut=queue.close, listens=True
        )
        try:
            return await self._listened(ctx, arrival, flags, requests, queue)
        finally:
            closed()

    async def _listened(
        self,
        ctx: ServerRequestContext[Any, Any],
        arrival: Arrival,
        flags: dict[str, bool],
        requests: tuple[ActionRequest, ...],
        queue: EventQueue,
    ) -> dict[str, Any]:
        agent = str(arrival.caller.agent)
        watch = self._watch(queue.put)
        self._streams[agent] = self._streams.get(agent, 0) + 1
        try:
            granted = await self._granted(arrival, requests, watch)
            if not granted.mandates and not any(flags.values()):
                raise GATEWAY_NOTHING_GRANTED()
            return await self._pass_on(ctx, flags, granted, queue, watch)
        finally:
            watch.close()
            self._streams[agent] -= 1
            if not self._streams[agent]:
                del self._streams[agent]

    async def _granted(self, arrival: Arrival, requests: tuple[ActionRequest, ...], watch: Watch) -> Granted:
        """Govern every resource. Refused ones are left out of the acknowledgement; a single refused resource raises."""
        granted = Granted(server=self._server, use="subscriptions/listen", visible=self._needs.visible)
        for request in requests:
            try:
                if await self._allowed(arrival, request, watch):
                    granted.mandates[request.target] = arrival.task
            except Refused:
                if len(requests) == 1:
                    raise
        return granted

    async def _allowed(self, arrival: Arrival, request: ActionRequest, watch: Watch) -> bool:
        # Registered first, so that the upstream is subscribed when the warrant is redeemed.
        if not watch.add(request.target):
            raise GATEWAY_STREAMS("too many resources of this server are subscribed to")
        kept = False
        try:
            answer = await self._needs.govern(request, arrival.caller)
            kept = answer.outcome is not None and answer.outcome.status == "succeeded"
        finally:
            if not kept:
                watch.drop(request.target)
        return kept

    async def _pass_on(
        self,
        ctx: ServerRequestContext[Any, Any],
        flags: dict[str, bool],
        granted: Granted,
        queue: EventQueue,
        watch: Watch,
    ) -> dict[str, Any]:
        assert ctx.request_id is not None  # noqa: S101 - a request has one
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        honored: dict[str, Any] = {name: True for name, wanted in flags.items() if wanted}
        if granted.mandates:
            honored["resourceSubscriptions"] = list(granted.mandates)
        acknowledged = mcp_types.SubscriptionsAcknowledgedNotification.model_validate(
            {
                "method": "notifications/subscriptions/acknowledged",
                "params": {"notifications": honored, "_meta": meta},
            }
        )
        await ctx.session.send_notification(acknowledged, related_request_id=str(ctx.request_id))
        while (event := await queue.take()) is not None:
            method, uri = event
            if method == UPDATED and uri in granted.mandates and not granted.allows(uri):
                watch.drop(uri)
            elif (method == UPDATED and uri in granted.mandates) or flags.get(
                LIST_CHANGES.get(method, ""), False
            ):
                await ctx.session.send_notification(
                    notification(method, uri, meta), related_request_id=str(ctx.request_id)
                )
        return translate.shaped({"_meta": meta}, method="subscriptions/listen", version=ctx.protocol_version)

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], arrival: Arrival) -> dict[str, Any]:
        """Handle `resources/subscribe` of the session-based era. Raises the errors of the family, MCPError."""
        request = request_of(arrival, self._server, "resources/subscribe")
        follower = self.follow(ctx, arrival)
        if follower.watch is None or not follower.watch.add(request.target):
            raise GATEWAY_STREAMS("too many resources of this server are subscribed to")
        kept = False
        try:
            answer = await self._needs.govern(request, arrival.caller)
            kept = answer.outcome is not None and answer.outcome.status == "succeeded"
            result = translate.answered(answer, method="resources/subscribe", version=ctx.protocol_version)
        finally:
            if not kept and request.target not in follower.granted.mandates:
                follower.watch.drop(request.target)
        self._keep(follower, request.target, arrival)
        return result

    def _keep(self, follower: Follower, uri: str, arrival: Arrival) -> None:
        """Deliver a resource's updates until the resource is held. Raises Refused if it already is."""
        granted, watch = follower.granted, follower.watch
        granted.forget(uri)
        if follower.is_closed:
            return
        caller, mandate_id, delegation = granted.mandates[uri] = arrival.task

        def drop() -> None:
            granted.forget(uri)
            if watch is not None:
                watch.drop(uri)

        try:
            granted.released[uri] = self._needs.open_stream(
                caller, mandate_id, self._server, delegation=delegation, cut=drop
            )
        except BaseException:
            drop()
            raise

    def unsubscribe(self, ctx: ServerRequestContext[Any, Any], arrival: Arrival) -> dict[str, Any]:
        """Unsubscribe; this needs no permission. Raises Malformed, MCPError."""
        uri = checked_params(arrival, "resources/unsubscribe").get("uri")
        follower = self.follow(ctx, arrival)
        if isinstance(uri, str):
            follower.granted.forget(uri)
            if follower.watch is not None:
                follower.watch.drop(uri)
        return {}

    def follow(self, ctx: ServerRequestContext[Any, Any], arrival: Arrival) -> Follower:
        """Return the follower of this session, created on first use. Raises MCPError outside a session."""
        session = arrival.session
        if session is None:
            raise MCPError(mcp_types.INVALID_REQUEST, "this needs a session")
        if session.follower is None:
            granted = Granted(server=self._server, use="resources/subscribe", visible=self._needs.visible)
            follower = Follower(ctx.session, granted, events_waiting_max=self._limits.events_waiting_max)
            follower.watch = self._watch(follower.listener)
            session.follower = follower
            self._start(follower.run)
        return session.follower

    def _watch(self, listener: Callable[[str, str], None]) -> Watch:
        watch = self._needs.offers.watch(self._server, listener)
        if watch is None:
            raise UPSTREAM_UNKNOWN(f"server {shown(self._server)} is not known")
        return watch
