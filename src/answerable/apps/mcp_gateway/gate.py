"""The middleware between the MCP SDK and the walk, the same for both eras: it governs, filters or denies every request.

Laws: every request is answered here; a method that is not listed here is denied; a governed action is taken from the
bytes that the proof covers, never from the SDK's parse. Nothing that runs here can end more than its own request.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import validate_mcp_param_headers
from mcp_types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND
from mcp_types.methods import CLIENT_REQUESTS, serialize_server_result

from answerable.apps.mcp_gateway import translate
from answerable.apps.mcp_gateway.arrival import SCOPE_KEY, Arrival, arrival_of
from answerable.apps.mcp_gateway.holding import opens_addresses, question, repeats_question, until_answered
from answerable.apps.mcp_gateway.requests import checked_params, request_of
from answerable.apps.mcp_gateway.visible import LISTS, filtered
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.errors import AnswerableError, Malformed, Refused, shown
from answerable.errors.codes.action import UPSTREAM_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from answerable.apps.mcp_gateway.listening import Listening
    from answerable.apps.mcp_gateway.services import GatewayLimits, GatewayServices
    from answerable.apps.mcp_gateway.tally import Tally
    from answerable.ports.upstream import Progress

INSTRUCTIONS_CHARS_MAX: Final = 4_000

_GOVERNED: Final = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})
_OPENING: Final = frozenset({"initialize", "server/discover"})
_PARAM_HEADER: Final = b"mcp-param-"
# How an MCPError is recorded. Other codes come from an action, which has its own entries, or are internal failures.
_NOTED: Final = {
    METHOD_NOT_FOUND: "rpc.method",
    INVALID_PARAMS: "params.invalid",
    INVALID_REQUEST: "rpc.shape",
    HEADER_MISMATCH: "http.header_mismatch",
}

_log = logging.getLogger(__name__)


class Gate:
    """The middleware of one upstream's server."""

    def __init__(
        self, server: str, needs: GatewayServices, limits: GatewayLimits, listening: Listening, tally: Tally
    ) -> None:
        self._server = server
        self._limits = limits
        self._needs = needs
        self._listening = listening
        self._tally = tally

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Run as the SDK's middleware. Raises MCPError and nothing else but cancellation."""
        found = None if ctx.request is None else ctx.request.scope.get(SCOPE_KEY)
        arrival = found if isinstance(found, Arrival) else None
        answering = self._answered(ctx, call_next)
        if arrival is not None:
            arrival.reached.append(ctx.method)
            answering = self._noting(answering, arrival)
        return await _translated(answering, ctx.method, ctx.protocol_version, arrival)

    async def answer(self, arrival: Arrival, method: str, version: str) -> HandlerResult:
        """Answer a governed request that wants no progress, without the SDK. Raises as `__call__`."""
        return await _translated(
            self._noting(self._governed(arrival, method, version), arrival), method, version, arrival
        )

    async def _noting(self, answering: Awaitable[HandlerResult], arrival: Arrival) -> HandlerResult:
        """Record a refusal that belongs to no action: the ledger would not contain it otherwise."""
        try:
            return await answering
        except MCPError as error:
            if error.code in _NOTED:
                self._refused(_NOTED[error.code], arrival)
            raise
        except AnswerableError as error:
            # The walk records its own refusals; refusals by the gateway's limits are recorded here.
            if isinstance(error, Malformed) or (
                isinstance(error, Refused)
                and (error.code.startswith("gateway.") or arrival.message.get("method") not in _GOVERNED)
            ):
                self._refused(error, arrival)
            raise

    def _refused(self, said: AnswerableError | str, arrival: Arrival) -> None:
        self._needs.refused(said, sender_of(arrival.scope), agent=arrival.caller.agent)

    async def _answered(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        method = ctx.method
        if ctx.request_id is None:
            return await self._notified(ctx, call_next)
        arrival = arrival_of(ctx.request, method, ctx.request_id)
        if (method, ctx.protocol_version) not in CLIENT_REQUESTS and method != "initialize":
            raise MCPError(METHOD_NOT_FOUND, f"method {shown(method)} is not offered here")
        if method in _GOVERNED:
            if method == "tools/call":
                await self._check_param_headers(ctx.request, arrival)
            progress = ctx.session.report_progress if _wants_progress(arrival) else None
            declared = ctx.session.client_capabilities
            return await self._governed(arrival, method, ctx.protocol_version, progress, declared)
        if method != "resources/unsubscribe":
            # Governed methods are refused in the walk and recorded there; unsubscribing needs no permission.
            caller, mandate_id, delegation = arrival.task
            self._needs.refuse_held(caller, mandate_id, self._server, delegation=delegation)
        if method in LISTS:
            return await self._listed(ctx, arrival)
        if method in _OPENING:
            return self._introduced(await call_next(ctx))
        match method:
            case "ping":
                return await call_next(ctx)
            case "subscriptions/listen":
                return await self._listening.listen(ctx, arrival)
            case "resources/subscribe":
                return await self._listening.subscribe(ctx, arrival)
            case "resources/unsubscribe":
                return self._listening.unsubscribe(ctx, arrival)
        raise MCPError(METHOD_NOT_FOUND, f"method {shown(method)} is not offered here")

    async def _governed(
        self,
        arrival: Arrival,
        method: str,
        version: str,
        progress: Progress | None = None,
        declared: Any = None,
    ) -> dict[str, Any]:
        await self._needs.offers.settled(self._server, tools=method == "tools/call")
        frozen = partial(request_of, arrival, self._server, method)
        # Freezing costs as much as parsing.
        request = frozen() if arrival.aside is None else await arrival.aside(frozen)
        repeats = repeats_question(arrival, lambda state: self._needs.asked(arrival.caller.agent, state))
        answer = await self._needs.govern(request, arrival.caller, progress=progress)
        approval, page = answer.approval, ""
        if approval is None:
            return translate.answered(answer, method=method, version=version)
        # Step 5 of the walk has recorded the deferral; what remains is how long this client waits and which answer it
        # gets.
        seconds = self._limits.approval_wait_seconds if progress or repeats else 0.0
        if seconds and await until_answered(
            approval, self._needs.waits, seconds_max=seconds, progress=progress
        ):
            answer = await self._needs.govern(request, arrival.caller, progress=progress)
            approval = answer.approval
        if approval is not None:
            page = self._needs.approval_page(approval.id)
            opens = opens_addresses(arrival, declared)
            asked = question(approval, page, method=method, version=version, opens_addresses=opens)
            if asked is not None:
                return asked
        return translate.answered(answer, method=method, version=version, page=page)

    async def _check_param_headers(self, http: Any, arrival: Arrival) -> None:
        """Check that `Mcp-Param-*` fields match the body: a router in front of the gateway may rely on them."""
        if not any(name.startswith(_PARAM_HEADER) for name, _ in http.scope["headers"]):
            return
        await self._needs.offers.settled(self._server, tools=True)
        request = request_of(arrival, self._server, "tools/call")
        schema = self._needs.offers.input_schema(self._server, request.target)
        rejection = validate_mcp_param_headers(schema, request.arguments, http.headers)
        if rejection is not None:
            raise MCPError(rejection.code, rejection.message)

    async def _listed(self, ctx: ServerRequestContext[Any, Any], arrival: Arrival) -> dict[str, Any]:
        method = ctx.method
        if "cursor" in checked_params(arrival, method):
            # Every list fits into one page, so no cursor was ever issued.
            raise MCPError(INVALID_PARAMS, "the cursor is not from this server")
        entries = await self._needs.offers.entries(self._server, method)
        if entries is None:
            raise UPSTREAM_UNKNOWN(f"server {shown(self._server)} is not connected")
        pairs = self._needs.visible(
            arrival.caller, arrival.mandate_id, self._server, delegation=arrival.delegation
        )
        result: dict[str, Any] = {LISTS[method][0]: filtered(method, entries, pairs)}
        shaped = translate.shaped(result, method=method, version=ctx.protocol_version)
        # Entries of another revision lose the members that the caller's revision does not have.
        return serialize_server_result(method, ctx.protocol_version, shaped)

    def _introduced(self, result: HandlerResult) -> HandlerResult:
        """Return the gateway's self-description: the upstream's capabilities that the gateway governs, and nothing
        else."""
        if not isinstance(result, dict):
            return result
        declared = self._needs.offers.capabilities(self._server)
        offered: dict[str, Any] = {}
        for name in ("tools", "prompts", "resources"):
            if isinstance(own := declared.get(name), dict):
                offered[name] = {
                    key: own[key] for key in ("listChanged", "subscribe") if own.get(key) is True
                }
        if "completions" in declared:
            offered["completions"] = {}
        shown_result = {**result, "capabilities": offered}
        if instructions := self._needs.offers.instructions(self._server):
            shown_result["instructions"] = instructions[:INSTRUCTIONS_CHARS_MAX]
        return shown_result

    async def _notified(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        self._tally.note(ctx.method)
        result = await call_next(ctx)
        if ctx.method == "notifications/initialized":
            self._listening.follow(ctx, arrival_of(ctx.request, ctx.method, None))
        return result


async def _translated(
    answering: Awaitable[HandlerResult], method: str, version: str, arrival: Arrival | None
) -> HandlerResult:
    """Translate every error for MCP. Raises MCPError and nothing else but cancellation."""
    try:
        return await answering
    except MCPError:
        raise
    except AnswerableError as error:
        on_stdio = arrival is not None and arrival.on_stdio
        return translate.raised(error, method=method, version=version, on_stdio=on_stdio)
    except Exception:
        # In the session-based era the SDK would send the text of an unknown exception to the caller.
        _log.exception("a request for %s failed", shown(method))
        raise MCPError(INTERNAL_ERROR, "internal error") from None


def _wants_progress(arrival: Arrival) -> bool:
    meta = arrival.params.get("_meta")
    return isinstance(meta, dict) and "progressToken" in meta
