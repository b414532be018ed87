"""Assemble the console as an ASGI application: the table of its paths."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response

from answerable.apps.console import (
    agent_pages,
    approval_pages,
    asking_less_pages,
    deciding_pages,
    device_pages,
    duty_pages,
    group_pages,
    live_pages,
    overview_pages,
    passkey_pages,
    provider_pages,
    review_pages,
    sign_in_pages,
)
from answerable.apps.console.desk import Asked, Console, endpoint
from answerable.apps.console.guard import Attempts
from answerable.apps.console.known_browsers import KnownBrowsers
from answerable.apps.console.pages import asset_answer
from answerable.apps.console.sessions import Sessions
from answerable.errors import shown
from answerable.errors.codes.services import CONSOLE_GONE, CONSOLE_METHOD
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from starlette.requests import Request

    from answerable.apps.console.services import ConsoleServices


Act = Callable[[Asked], Awaitable[Response]]

PAGES: Final[dict[str, Act]] = {
    "/": overview_pages.overview,
    "/approvals": group_pages.inbox,
    "/approvals/{id}": approval_pages.approval,
    "/groups/{id}": group_pages.group,
    "/duty": duty_pages.duty,
    "/agents": agent_pages.agents,
    "/agents/{name}": agent_pages.agent,
    "/holds/{id}": agent_pages.hold,
    "/deciding": deciding_pages.deciding,
    "/live": live_pages.live,
    "/news": live_pages.news,
    "/passkeys": passkey_pages.passkeys,
    "/devices": device_pages.devices,
}
FORMS: Final[dict[str, Act]] = {
    "/stop": agent_pages.stop,
    "/duty/end": duty_pages.end,
    "/passkeys/remove": passkey_pages.remove,
    "/devices/remove": device_pages.remove,
    "/sessions/end": passkey_pages.end_session,
    "/sign-out": sign_in_pages.sign_out,
}
SCRIPTS: Final[dict[str, Act]] = {
    "/approvals/{id}/open": approval_pages.open_one,
    "/approvals/{id}/answer": approval_pages.answer,
    "/groups/open": group_pages.open_group,
    "/groups/answer": group_pages.answer_group,
    "/approvals/{id}/review/open": review_pages.open_review,
    "/approvals/{id}/review": review_pages.review,
    "/duty/open": duty_pages.open_one,
    "/duty/give": duty_pages.give,
    "/confirm/begin": sign_in_pages.begin_confirming,
    "/confirm/finish": sign_in_pages.finish_confirming,
    "/devices/begin": device_pages.begin,
    "/devices/add": device_pages.add,
}
"""Endpoints that the console's own script calls, for a signed-in person."""
OPEN_SCRIPTS: Final[dict[str, Act]] = {
    "/sign-in/begin": sign_in_pages.begin,
    "/sign-in/finish": sign_in_pages.finish,
    "/enrol/begin": sign_in_pages.begin_enrolling,
    "/enrol/finish": sign_in_pages.finish_enrolling,
}


def console_app(needs: ConsoleServices) -> Starlette:
    """Return the application. Every request gets a response; no exception escapes."""
    console = Console(
        needs=needs,
        sessions=Sessions(needs.walk.authority, needs.walk.asking, needs.walk.entropy, needs.limits),
        attempts=Attempts(needs.walk.clock, needs.limits.attempts_per_minute_max),
        known=KnownBrowsers(needs.browsers_secret, needs.walk.clock, needs.walk.entropy),
    )
    providers = provider_pages.ProviderDesk()
    pages = {**PAGES, "/asking-less": asking_less_pages.AskingLess().page}
    open_pages: dict[str, Act] = {
        "/sign-in": sign_in_pages.sign_in_page,
        "/enrol": sign_in_pages.enrol_page,
        "/sign-in/provider": providers.begin,
        provider_pages.CALLBACK + "{provider}": providers.end,
        "/assets/{digest}/{name}": _asset,
        "/worker.js": device_pages.worker,
        "/manifest.webmanifest": device_pages.manifest,
    }
    made = [
        ("GET", pages, False, False),
        ("GET", open_pages, True, False),
        ("POST", FORMS, False, False),
        ("POST", SCRIPTS, False, True),
        ("POST", OPEN_SCRIPTS, True, True),
    ]
    routes = [
        PlainRoute(path, endpoint(console, act, public=public, script=script), method=method)
        for method, acts, public, script in made
        for path, act in acts.items()
    ]

    async def no_route(request: Request, error: Exception) -> Response:
        is_method = isinstance(error, HTTPException) and error.status_code == 405
        return await endpoint(console, _no_method if is_method else _no_page, public=True)(request)

    return Starlette(routes=routes, exception_handlers={HTTPException: no_route})


async def _asset(asked: Asked) -> Response:
    return asset_answer(asked.request)


async def _no_method(asked: Asked) -> Response:
    raise CONSOLE_METHOD(f"{shown(asked.request.method, 20)} is not a method of this page")


async def _no_page(asked: Asked) -> Response:
    raise CONSOLE_GONE(f"there is no page {shown(asked.request.url.path)} here")
