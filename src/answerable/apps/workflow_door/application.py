"""Serve workflows that answer approvals, as an ASGI application: attest the caller, bound the request, parse it
strictly, answer it.

`docs/how-to/let-a-workflow-approve.md` describes its use. Wiring routes paths below `needs.PREFIX` here. A caller sees
only the approvals that wait for the groups of the workflow that it was attested as, and has no other rights.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerable.apps.workflow_door.services import ITEMS_MAX, PREFIX
from answerable.core.base64url import to_base64url
from answerable.core.canonical import parse
from answerable.core.identity.names.pace import Pace
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.core.json_extent import check_extent
from answerable.errors import AnswerableError, Broken
from answerable.errors.codes.people import WORKFLOW_FAILED, WORKFLOW_PACE
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.approval.answer_as_workflow import (
    answer_as_workflow,
    open_to_workflow,
    waiting_for_workflow,
)
from answerable.flows.people.attest_workflow import attested_workflow
from answerable.wiring.guarded_request import body_within, channel_of, check_host, route_fault
from answerable.wiring.plain_route import PlainRoute
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE, problem_details

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from answerable.apps.workflow_door.services import WorkflowServices
    from answerable.core.approval.approval import Approval
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Workflow

_STATUSES: Final = {"http.host": 421, "workflow.pace": 429, "approval.unknown": 404}
MEMBERS_MAX: Final = 100

_log: Final = logging.getLogger("answerable.workflows")


def workflow_app(needs: WorkflowServices) -> Starlette:
    """Return the application with every path. Every request gets a response; no exception escapes."""
    door = _Door(needs)
    one = PREFIX + "approvals/{id}/"
    return Starlette(
        routes=[
            PlainRoute(PREFIX + "approvals", door.endpoint(door.waiting)),
            PlainRoute(one + "nonce", door.endpoint(door.open), method="POST"),
            PlainRoute(one + "answer", door.endpoint(door.answer), method="POST"),
        ],
        exception_handlers={HTTPException: _no_route},
    )


class _Door:
    """The endpoints. Every method that is not a route itself raises the error family."""

    def __init__(self, needs: WorkflowServices) -> None:
        self._needs, self._parts = needs, needs.workloads
        self._pace = Pace(needs.requests_per_minute_max)

    def endpoint(
        self, act: Callable[[Workflow, Request], Awaitable[dict[str, JSONValue]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint for the workflow at the other end of the connection."""

        async def answered(request: Request) -> Response:
            try:
                check_host(request, self._needs.hosts)
                workflow = await attested_workflow(self._needs.workloads, channel_of(request))
                seconds = self._pace.take(workflow.name, at=self._parts.recorder.clock.monotonic())
                if seconds:
                    raise WORKFLOW_PACE(f"too many requests of this workflow: retry in {seconds:.1f} s")
                return _answered(200, await act(workflow, request))
            except Exception as error:
                if isinstance(error, AnswerableError):
                    self._needs.refused(error, sender_of(request.scope))
                return _failed(error)

        return answered

    async def waiting(self, workflow: Workflow, request: Request) -> dict[str, JSONValue]:
        """List the approvals that the workflow may answer, oldest first."""
        found = waiting_for_workflow(self._parts.authority, self._parts.asking.limits, workflow)
        return {
            "workflow": workflow.name,
            "audience": self._parts.recorder.ledger.origin,
            "items": [_shown(one) for one in found[:ITEMS_MAX]],
            "count": len(found),
        }

    async def open(self, workflow: Workflow, request: Request) -> dict[str, JSONValue]:
        """Return a nonce for one answer."""
        nonce, approval, ends = open_to_workflow(
            self._parts.recorder.ledger,
            self._parts.authority,
            self._parts.asking.openings,
            self._parts.asking.limits,
            self._parts.recorder.entropy,
            workflow,
            request.path_params["id"],
        )
        return {
            "nonce": to_base64url(nonce),
            "action": approval.shown.hex,
            "rendering": approval.card.hex,
            "ends_ms": ends,
        }

    async def answer(self, workflow: Workflow, request: Request) -> dict[str, JSONValue]:
        """Record an answer that the workflow signed."""
        body = await self._body(request)
        token = body.get("token")
        if body.keys() != {"token"} or not isinstance(token, str):
            raise REQUEST_BODY("the body must be an object with the text `token`")
        after = await answer_as_workflow(
            self._parts.recorder,
            self._parts.authority,
            self._parts.asking,
            self._parts.applying.counters,
            workflow.name,
            request.path_params["id"],
            token,
        )
        return {"id": after.id, "state": after.state}

    async def _body(self, request: Request) -> dict[str, JSONValue]:
        needs = self._needs
        received = await body_within(
            request, bytes_max=needs.body_bytes_max, seconds_max=needs.body_seconds_max
        )
        check_extent(received, MEMBERS_MAX)
        value = parse(received)
        if not isinstance(value, dict):
            raise REQUEST_BODY("the body must be an object")
        return value


def _shown(approval: Approval) -> dict[str, JSONValue]:
    """Return exactly what the workflow is asked about, without any of the agent's own words."""
    return {
        "id": approval.id,
        "object": approval.shown.bytes.decode(),
        "card": approval.card.bytes.decode(),
        "expires_ms": approval.expires_at,
    }


def _failed(error: Exception) -> Response:
    if not isinstance(error, AnswerableError):
        # The caller learns that the request failed, the operator learns why.
        _log.error("a request failed", exc_info=error)
        error = WORKFLOW_FAILED()
    elif isinstance(error, Broken):
        _log.error("%s: %s", error.code, error.message)
    status, body = problem_details(error, _STATUSES)
    return _answered(status, body, PROBLEM_MEDIA_TYPE)


async def _no_route(request: Request, error: Exception) -> Response:
    return _failed(route_fault(request, error))


def _answered(status: int, value: JSONValue, media_type: str = "application/json") -> Response:
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type=media_type,
        headers={"cache-control": "no-store"},
    )
