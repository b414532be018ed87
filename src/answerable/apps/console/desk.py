"""Handle one console request: find its session, check its freshness, run the page and turn errors into responses."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from answerable.apps.console.browser import browser_of
from answerable.apps.console.guard import HEADERS, Attempts, check_request, form_of, json_of
from answerable.apps.console.pages import NONCE_BYTES, page
from answerable.apps.console.sessions import COOKIE, Sessions
from answerable.core.base64url import to_base64url
from answerable.core.identity.proof.door_refusal import sender_of
from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified
from answerable.errors.codes.services import (
    CONSOLE_BROWSER,
    CONSOLE_CSRF,
    CONSOLE_FAILED,
    CONSOLE_NOT_FRESH,
    CONSOLE_SIGNED_OUT,
)
from answerable.flows.people.confirm_person import SessionSeen, record_refused_session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from answerable.apps.console.browser import Browser
    from answerable.apps.console.known_browsers import KnownBrowsers
    from answerable.apps.console.services import ConsoleServices
    from answerable.apps.console.sessions import Session
    from answerable.core.canonical import JSONValue
    from answerable.core.registry.documents.documents import Principal
    from answerable.wiring.walk import Walk

_STATUS: Final = {Malformed: 400, Unverified: 401, Refused: 403, Unavailable: 503, Broken: 500}
_STATUS_OF_CODE: Final = {
    "console.host": 421,
    "console.method": 405,
    "console.too_many": 429,
    "console.gone": 404,
    "approval_group.unknown": 404,
}
_log: Final = logging.getLogger("answerable.console")


@dataclass(slots=True, kw_only=True)
class Console:
    """State that all requests share."""

    needs: ConsoleServices
    sessions: Sessions
    attempts: Attempts
    known: KnownBrowsers

    @property
    def walk(self) -> Walk:
        """Ports, limits and present state."""
        return self.needs.walk


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request. session, person: of the signed-in person, or None. wants_json: whether the console's own script sent
    it."""

    console: Console
    request: Request
    nonce: str
    session: Session | None
    person: Principal | None
    wants_json: bool = False

    @property
    def walk(self) -> Walk:
        """Ports, limits and present state."""
        return self.console.walk

    @property
    def who(self) -> tuple[Session, Principal]:
        """The session and its person. Raises Unverified (`console.signed_out`)."""
        if self.session is None or self.person is None:
            raise CONSOLE_SIGNED_OUT("not signed in")
        return self.session, self.person

    @property
    def is_fresh(self) -> bool:
        """Whether the person has verified themselves recently, at the address of this request."""
        limits, now = self.console.needs.limits, self.walk.clock.monotonic()
        address = browser_of(self.request).address
        return self.session is not None and self.session.is_fresh(now, limits.fresh_seconds, address=address)

    def require_fresh(self) -> None:
        """Check that `is_fresh` holds. Raises Unverified (`console.not_fresh`)."""
        if not self.is_fresh:
            seconds = self.console.needs.limits.fresh_seconds
            raise CONSOLE_NOT_FRESH(
                f"sign in again: your last authentication was more than {seconds} seconds ago or from another address"
            )

    def has_shown(self) -> None:
        """Note that a device of this session's person has just verified them. Raises Unverified
        (`console.signed_out`)."""
        session, _ = self.who
        session.shown = self.walk.clock.monotonic()
        session.shown_from = browser_of(self.request).address

    def seen(self) -> SessionSeen:
        """Return the session as seen in this request. Raises Unverified (`console.signed_out`)."""
        session, person = self.who
        return _seen(session, person, browser_of(self.request))

    def note_attempt(self, invitation: bytes = b"") -> None:
        """Count an attempt to sign in: of the invitation, of the known browser, or of the address and the user of this
        machine. Raises Refused (`console.too_many`)."""
        if invitation:
            source = f"invitation {invitation.hex()}"
        elif known := self.console.known.find(self.request):
            source = f"browser {known}"
        else:
            theirs, ours = self.request.scope.get("client"), self.request.scope.get("server")
            user = self.console.needs.user_of(theirs, ours) if theirs and ours else None
            source = f"{browser_of(self.request).address} user {user}"
        self.console.attempts.note(source)

    async def form(self) -> dict[str, str]:
        """Return the fields of a form sent by this session's own pages. Raises Malformed, Refused (`console.csrf`),
        Unverified."""
        fields = await form_of(self.request, self.console.needs.limits)
        self._check_token(fields.pop("csrf", ""))
        return fields

    async def members(self, *, signed_in: bool) -> dict[str, JSONValue]:
        """Return the JSON body sent by the console's own script. signed_in: check the session's CSRF token. Raises as
        `form`."""
        if signed_in:
            self._check_token(self.request.headers.get("x-csrf-token", ""))
        return await json_of(self.request, self.console.needs.limits)

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """Render a template with the values that all pages need."""
        now = self.walk.clock.now()
        known = {"now": now, "person": self.person, "path": self.request.url.path, "fresh": self.is_fresh}
        return page(template, {**known, **context}, nonce=self.nonce, session=self.session, status=status)

    def _check_token(self, text: str) -> None:
        session, _ = self.who
        if not session.has_token(text):
            raise CONSOLE_CSRF()


def endpoint(
    console: Console,
    act: Callable[[Asked], Awaitable[Response]],
    *,
    public: bool = False,
    script: bool = False,
) -> Callable[[Request], Awaitable[Response]]:
    """Return an ASGI endpoint around `act`. Every request gets a response; no exception escapes.

    public: callable without signing in. script: called by the console's own script and answered with JSON.
    """

    async def answered(request: Request) -> Response:
        nonce = to_base64url(console.walk.entropy.bytes(NONCE_BYTES))
        asked = Asked(
            console=console, request=request, nonce=nonce, session=None, person=None, wants_json=script
        )
        try:
            check_request(console.needs, request)
            found = await _session_of(console, request)
            if found is not None:
                asked.session, asked.person = found
            elif not public:
                return _signed_out(asked)
            return await act(asked)
        except Exception as error:
            # Refusals of a signed-in person have their own ledger entries, under the person's name.
            if asked.session is None and isinstance(error, AnswerableError):
                console.needs.refused(error, sender_of(request.scope))
            return _failed(asked, error)

    return answered


async def _session_of(console: Console, request: Request) -> tuple[Session, Principal] | None:
    """Return the session and person of a request. A session used by another browser than the one it began in is ended,
    and that is recorded.

    Raises Unverified (`console.browser`), Unavailable.
    """
    secret, browser = request.cookies.get(COOKIE, ""), browser_of(request)
    found = console.sessions.find(secret)
    if found is None:
        return None
    session, person = found
    if session.browser.mark != browser.mark:
        console.sessions.end(secret)
        await record_refused_session(
            console.walk.recorder, _seen(session, person, browser), "console.browser"
        )
        raise CONSOLE_BROWSER()
    # A page's automatic refresh is not activity of the person, and does not keep the session alive.
    if "hx-request" not in request.headers:
        console.sessions.use(session, browser)
    return found


def _seen(session: Session, person: Principal, browser: Browser) -> SessionSeen:
    return SessionSeen(name=session.name, person=person.name, browser=browser.text, address=browser.address)


def answer_json(value: dict[str, JSONValue], *, status: int = 200) -> Response:
    """Return a JSON response for the console's own script."""
    return Response(
        json.dumps(value, separators=(",", ":")), status_code=status, media_type="application/json",
        headers={**HEADERS, "content-security-policy": "default-src 'none'; frame-ancestors 'none'"},
    )  # fmt: skip


def see_other(path: str) -> Response:
    """Redirect to another page of the console after a change."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


def set_cookie(response: Response, name: str, value: str, *, seconds: int, strict: bool = True) -> None:
    """Set a cookie that is HttpOnly, Secure and sent to this site only."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict" if strict else "lax"
    )  # fmt: skip


def _signed_out(asked: Asked) -> Response:
    request = asked.request
    if asked.wants_json or request.method == "POST" or "hx-request" in request.headers:
        gone = CONSOLE_SIGNED_OUT("your session has ended: sign in again")
        return _failed(asked, gone)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A browser withholds a strict cookie on a navigation from another site, but sends it when the console's own
        # page navigates.
        return asked.page("bounce.html", target=_target(request))
    return see_other(f"/sign-in?next={quote(_target(request), safe='')}")


def _target(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _failed(asked: Asked, error: Exception) -> Response:
    if not isinstance(error, AnswerableError):
        # The caller learns that the page failed, the operator learns why.
        _log.error("a page failed", exc_info=error)
        error = CONSOLE_FAILED()
    elif isinstance(error, Broken):
        _log.error("%s: %s", error.code, error.message)
    status = _STATUS_OF_CODE.get(error.code) or next(
        number for kind, number in _STATUS.items() if isinstance(error, kind)
    )
    if asked.wants_json:
        return answer_json({"code": error.code, "message": error.message}, status=status)
    return asked.page("fault.html", status=status, code=error.code, message=error.message)
