"""Redeem a warrant at a connected server, and say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp.shared.exceptions import MCPError

from answerable.adapters.mcp_upstream.live import NotSentError, TimedOutError
from answerable.adapters.mcp_upstream.outcomes import (
    SUBSCRIBING,
    not_started,
    outcome_of_broker,
    outcome_of_error,
    outcome_of_result,
    request_of,
    task_in,
    unclear,
    with_session,
)
from answerable.core.lease.wire import WARRANT_META
from answerable.core.registry.tools.tool_pin import TOOLS_CALL
from answerable.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.mcp_upstream.link import Link
    from answerable.core.action.outcome import Outcome
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.ledger.warrant import Warrant
    from answerable.ports.upstream import Progress

TASK_CANCEL_SECONDS: Final = 5.0
"""Time limit for an upstream's answer to the cancellation of a task."""


async def perform_on(
    link: Link | None,
    warrant: Warrant,
    *,
    now: UnixMillis,
    result_bytes_max: int,
    sign_warrant: Callable[[Warrant], str] | None,
    progress: Progress | None,
) -> Outcome:
    """Redeem the warrant and perform its action. link: to its server; None if none is registered. Raises Broken
    (`warrant.spent`, `action.method`), Refused (`warrant.expired`)."""
    action = warrant.redeem(now=now)
    method, params = request_of(action, action_id=warrant.action_id, idempotency_key=warrant.idempotency_key)
    if link is None:
        return not_started(f"server {shown(warrant.server)} is not registered")
    if link.is_stale and method == TOOLS_CALL:
        # Announced after the request was checked against the tool's previous definition.
        return not_started(f"server {shown(warrant.server)} has just announced other tools: ask again")
    seconds = link.server.call_seconds_max
    is_brokered = bool(link.server.target)
    try:
        if is_brokered:
            meta = params["_meta"]
            if warrant.brokered is None or sign_warrant is None or not isinstance(meta, dict):
                return not_started("this action has no warrant for a broker")
            meta[WARRANT_META] = sign_warrant(warrant)
        if method in SUBSCRIBING:
            result = await link.subscribe(str(params["uri"]), seconds=seconds)
        else:
            result = await link.exchange(method, params, seconds=seconds, progress=progress)
            task = task_in(result)
            if task:
                # Tasks are not followed: one would continue after its outcome was recorded, and after every stop.
                return unclear(await link.cancel_task(task, seconds=TASK_CANCEL_SECONDS))
        outcome = outcome_of_result(result, bytes_max=result_bytes_max)
        return with_session(outcome) if is_brokered else outcome
    except NotSentError:
        return not_started(f"server {shown(warrant.server)} is not connected")
    except TimedOutError:
        return unclear(f"the upstream did not answer within {seconds} s and was told to stop")
    except MCPError as error:
        return outcome_of_broker(error) if is_brokered else outcome_of_error(error)
    except Exception as fault:
        # The result violates the protocol, or the SDK failed. In both cases the request was sent.
        return unclear(f"the upstream's answer cannot be read: {type(fault).__name__}")
