"""Receive chat clicks as an ASGI application: bound the request, verify its signature, parse it strictly, take the
click, then acknowledge.

`docs/how-to/reach-approvers.md` describes the setup. Wiring routes paths below `needs.PREFIX` on the console's listener
to this application. Agents cannot reach that listener, and a request without the chat's signature has no effect.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerable.apps.chat_door.payload import click_of
from answerable.apps.chat_door.services import PREFIX
from answerable.apps.chat_door.signed import SeenRequests, signed_at
from answerable.core.identity.names.pace import Pace
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.errors import AnswerableError, Broken
from answerable.errors.codes.approval import CHAT_FAILED, CHAT_PACE
from answerable.flows.approval.answer_by_click import take_click, tell_clicked
from answerable.wiring.guarded_request import body_within, check_host, route_fault
from answerable.wiring.plain_route import PlainRoute
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE, problem_details

if TYPE_CHECKING:
    from starlette.requests import Request

    from answerable.apps.chat_door.services import ChatServices
    from answerable.flows.approval.answer_by_click import Click, Clicked

_STATUSES: Final = {"http.host": 421, "chat.pace": 429, "chat.too_many": 429, "chat.replayed": 409}
_log: Final = logging.getLogger("answerable.chat")


def chat_app(needs: ChatServices) -> Starlette:
    """Return the application with its single route. Every request gets a response; no exception escapes."""
    return Starlette(
        routes=[PlainRoute(PREFIX + "slack", _Door(needs).clicked, method="POST")],
        exception_handlers={HTTPException: _no_route},
    )


class _Door:
    def __init__(self, needs: ChatServices) -> None:
        self._needs = needs
        self._pace = Pace(needs.clicks_per_minute_max)
        self._seen = SeenRequests()

    async def clicked(self, request: Request) -> Response:
        """Take one click. Answers 200 with an empty body once the click was taken, whatever its result: the result is
        posted in the chat."""
        try:
            click = await self._read(request)
            clicked = await take_click(
                self._needs.walk.recorder,
                self._needs.walk.authority,
                self._needs.walk.asking,
                self._needs.walk.counters,
                click,
            )
        except Exception as error:
            if isinstance(error, AnswerableError):
                self._needs.refused(error, sender_of(request.scope))
            return _failed(error)
        return Response(
            status_code=200,
            headers={"cache-control": "no-store"},
            background=BackgroundTask(self._tell, click, clicked),
        )

    async def _read(self, request: Request) -> Click:
        needs = self._needs
        check_host(request, needs.hosts)
        body = await body_within(request, bytes_max=needs.body_bytes_max, seconds_max=needs.body_seconds_max)
        now = needs.walk.clock.now()
        sent_s = signed_at(needs.secret, request.headers, body, now)
        # The signature covers the time field, so an identical request within the window is a replay.
        signed = sha256(b"%d:" % sent_s + body).digest()
        self._seen.refuse_seen(signed, now)
        click = click_of(
            body,
            content_type=request.headers.get("content-type", ""),
            request=sha256(body).hexdigest(),
            sent_s=sent_s,
        )
        name = f"{click.account.team} {click.account.user}"
        if self._pace.take(name, at=needs.walk.clock.monotonic()):
            raise CHAT_PACE()
        # Store the digest only after the rate limit, so that one account cannot fill the shared memory of seen
        # requests. There is no await since `refuse_seen`.
        self._seen.keep(signed, now)
        return click

    async def _tell(self, click: Click, clicked: Clicked) -> None:
        try:
            await tell_clicked(
                self._needs.walk.asking.reach, self._needs.walk.clock, self._needs.desk, click, clicked
            )
        except Exception as error:
            # The click is recorded; only the message in the chat may be out of date.
            _log.error("what came of a click could not be told: %s", type(error).__name__)


def _failed(error: Exception) -> Response:
    if not isinstance(error, AnswerableError):
        # Log only the type: the caller learns that the click failed, and the request contains secrets of the chat.
        _log.error("a click failed: %s", type(error).__name__)
        error = CHAT_FAILED()
    elif isinstance(error, Broken):
        _log.error("%s: %s", error.code, error.message)
    status, body = problem_details(error, _STATUSES)
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"cache-control": "no-store"},
    )


async def _no_route(request: Request, error: Exception) -> Response:
    return _failed(route_fault(request, error))
