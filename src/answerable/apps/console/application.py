"""The console as an ASGI application: every path of it, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from answerable.apps.console import (
    agent_pages,
    live_pages,
    overview_pages,
    passkey_pages,
    provider_pages,
    sign_in_pages,
)
from answerable.apps.console.desk import Console, endpoint
from answerable.apps.console.guard import Attempts
from answerable.apps.console.pages import asset_answer
from answerable.apps.console.sessions import Sessions
from answerable.errors import Malformed, Refused, shown

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.apps.console.needs import Needs


def console_app(needs: Needs) -> Starlette:
    """Pages and what they send. Each request is answered; none raises out of here."""
    console = Console(
        needs=needs,
        sessions=Sessions(needs.walk, needs.limits),
        attempts=Attempts(needs.walk.clock, needs.limits.attempts_per_minute_max),
    )
    providers = provider_pages.ProviderDesk()
    pages = {
        "/": overview_pages.overview,
        "/agents": agent_pages.agents,
        "/agents/{name}": agent_pages.agent,
        "/holds/{id}": agent_pages.hold,
        "/live": live_pages.live,
        "/news": live_pages.news,
        "/passkeys": passkey_pages.passkeys,
    }
    forms = {
        "/stop": agent_pages.stop,
        "/passkeys/remove": passkey_pages.remove,
        "/sessions/end": passkey_pages.end_session,
        "/sign-out": sign_in_pages.sign_out,
    }
    open_pages = {
        "/sign-in": sign_in_pages.sign_in_page,
        "/enrol": sign_in_pages.enrol_page,
        "/sign-in/provider": providers.begin,
        provider_pages.CALLBACK: providers.end,
    }
    open_scripts = {
        "/sign-in/begin": sign_in_pages.begin,
        "/sign-in/finish": sign_in_pages.finish,
        "/enrol/begin": sign_in_pages.begin_enrolling,
        "/enrol/finish": sign_in_pages.finish_enrolling,
    }
    scripts = {
        "/confirm/begin": sign_in_pages.begin_confirming,
        "/confirm/finish": sign_in_pages.finish_confirming,
    }
    routes = [
        *(Route(path, endpoint(console, act), methods=["GET"]) for path, act in pages.items()),
        *(Route(path, endpoint(console, act), methods=["POST"]) for path, act in forms.items()),
        *(
            Route(path, endpoint(console, act, public=True), methods=["GET"])
            for path, act in open_pages.items()
        ),
        *(
            Route(path, endpoint(console, act, public=True, script=True), methods=["POST"])
            for path, act in open_scripts.items()
        ),
        *(
            Route(path, endpoint(console, act, script=True), methods=["POST"])
            for path, act in scripts.items()
        ),
        Route("/assets/{digest}/{name}", endpoint(console, _asset, public=True), methods=["GET"]),
    ]

    async def no_route(request: Request, error: Exception) -> Response:
        wrong_method = isinstance(error, HTTPException) and error.status_code == 405

        async def refuse(asked: Asked) -> Response:
            if wrong_method:
                raise Malformed(
                    f"{shown(request.method, 20)} is no method of this page", code="console.method"
                )
            raise Refused(f"there is no page {shown(request.url.path)} here", code="console.gone")

        return await endpoint(console, refuse, public=True)(request)

    return Starlette(routes=routes, exception_handlers={HTTPException: no_route})


async def _asset(asked: Asked) -> Response:
    return asset_answer(asked.request)
