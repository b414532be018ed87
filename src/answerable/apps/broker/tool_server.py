"""Offer one target's tools as an MCP server. Every tool call needs a warrant for exactly that call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import mcp_types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from answerable.core.lease.use import use_record
from answerable.core.lease.wire import DONE_META, EFFECT_DATA, RETRY_DATA, WARRANT_META
from answerable.core.ledger.warrant_token import verified_warrant
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified
from answerable.errors.codes.leases import (
    LEASE_CROWD,
    LEASE_ENDED,
    LEASE_GONE,
    LEASE_TAKEN,
    WARRANT_ACTION,
    WARRANT_AUDIENCE,
    WARRANT_MISSING,
)
from answerable.flows.leases.perform_leased import perform_leased

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from answerable.apps.broker.services import BrokerServices
    from answerable.core.lease.credential import Performed
    from answerable.core.lease.lease import Lease
    from answerable.core.ledger.warrant_token import SignedWarrant
    from answerable.errors import Effect

FAILED: Final = mcp_types.INTERNAL_ERROR
REFUSED: Final = mcp_types.INVALID_PARAMS

_OF_A_LEASE: Final = frozenset(one.id for one in (LEASE_CROWD, LEASE_ENDED, LEASE_GONE, LEASE_TAKEN))
"""Codes of refusals that the next call, which gets another lease, need not meet."""

_log: Final = logging.getLogger("answerable.broker")


def tool_server(needs: BrokerServices, name: str) -> Server[Any]:
    """Return the MCP server of the target `name`."""
    target = needs.desk.targets[name].target
    tools = [mcp_types.Tool.model_validate(dict(one)) for one in target.tools()]

    async def on_list_tools(
        ctx: ServerRequestContext[Any], params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=tools)

    async def on_call_tool(
        ctx: ServerRequestContext[Any], params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        try:
            arguments = params.arguments or {}
            warrant = _warrant(needs, name, params.name, arguments, dict(ctx.meta or {}))
            performed, lease = await perform_leased(
                needs.desk,
                warrant,
                params.name,
                arguments,
                progress=ctx.session.report_progress if "progressToken" in (ctx.meta or {}) else None,
            )
        except Exception as error:
            raise _told(error) from None
        return _result(performed, lease, warrant.lease.scope.hex)

    return Server(name, on_list_tools=on_list_tools, on_call_tool=on_call_tool)


def _warrant(
    needs: BrokerServices, target: str, tool: str, arguments: dict[str, Any], meta: dict[str, Any]
) -> SignedWarrant:
    """Return the verified warrant of this call. Raises Malformed or Unverified."""
    token = meta.get(WARRANT_META)
    if not isinstance(token, str):
        raise WARRANT_MISSING()
    desk = needs.desk
    warrant = verified_warrant(token, broker=desk.name, keys=needs.keys(), now=desk.clock.now())
    if warrant.lease.target != target:
        raise WARRANT_AUDIENCE("the warrant is for another target")
    if not warrant.is_about(tool=tool, arguments=arguments):
        raise WARRANT_ACTION()
    return warrant


def _result(performed: Performed, lease: Lease, scope: str) -> mcp_types.CallToolResult:
    done: dict[str, Any] = {
        "lease": lease.name,
        "session": dict(performed.session),
        "state": lease.state,
    }
    used = use_record(performed.used, scope) if performed.used is not None else None
    if used is not None:
        done["used"] = used
    meta = performed.result.get("_meta")
    members = {**performed.result, "_meta": {**(meta if isinstance(meta, dict) else {}), DONE_META: done}}
    return mcp_types.CallToolResult.model_validate(members)


def _told(error: Exception) -> MCPError:
    """Return the error that the gateway receives. Internal faults reveal no details."""
    effect: Effect = "none"
    if isinstance(error, Unavailable):
        effect = error.effect
    elif not isinstance(error, AnswerableError):
        effect = "unknown"
        _log.exception("a call at the broker failed")
    if isinstance(error, Refused | Unverified | Malformed):
        # Another call gets another warrant.
        again = isinstance(error, Unverified) or error.code in _OF_A_LEASE
        data = {EFFECT_DATA: effect, RETRY_DATA: again, "code": error.code}
        return MCPError(REFUSED, error.message, data=data)
    code = error.code if isinstance(error, AnswerableError) else "broker.failed"
    message = (
        error.message if isinstance(error, AnswerableError) else f"the broker failed: {type(error).__name__}"
    )
    return MCPError(FAILED, message, data={EFFECT_DATA: effect, "code": code})
