"""Sign people in and out: sign-in by passkey, enrolment by invitation, confirmation, sign-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.apps.console import known_browsers
from answerable.apps.console.browser import browser_of
from answerable.apps.console.ceremonies import creation_options, request_options
from answerable.apps.console.desk import answer_json, see_other, set_cookie
from answerable.apps.console.guard import next_page
from answerable.apps.console.sessions import COOKIE, REFUSED_MAX
from answerable.core.identity.people.passkey import assertion_in
from answerable.core.identity.people.passkey_registration import registration_in
from answerable.errors import Unverified
from answerable.errors.codes.services import REQUEST_BODY
from answerable.flows.people.confirm_person import begin_confirmation, finish_confirmation
from answerable.flows.people.enrol_passkey import (
    begin_enrolment,
    begin_own_enrolment,
    finish_enrolment,
    good_invitation,
)
from answerable.flows.people.sign_in import SignedIn, begin_sign_in, finish_sign_in
from answerable.flows.validity.person_validity import desk_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.core.canonical import JSONValue

TEXT_CHARS_MAX = 500


async def sign_in_page(asked: Asked) -> Response:
    """Show the sign-in page."""
    target = next_page(asked.request.query_params.get("next", "/"))
    if asked.session is not None:
        return see_other(target)
    providers = [one.issuer for one in asked.console.needs.providers]
    return asked.page("sign_in.html", target=target, providers=providers)


async def begin(asked: Asked) -> Response:
    """Return a sign-in challenge for any passkey."""
    asked.note_attempt()
    await asked.members(signed_in=False)
    begun = begin_sign_in(
        asked.walk.asking.passkeys,
        asked.walk.clock,
        asked.walk.entropy,
        browser=browser_of(asked.request).mark,
    )
    return answer_json(
        {
            "ceremony": begun.id,
            "options": request_options(desk_of(asked.walk.asking.passkeys), begun.challenge, ()),
        }
    )


async def finish(asked: Asked) -> Response:
    """Open a session for the person whose passkey answered the challenge."""
    body = await asked.members(signed_in=False)
    _note_unbegun(asked, body)
    who = finish_sign_in(
        asked.walk.authority,
        asked.walk.asking.passkeys,
        _text(body, "ceremony"),
        assertion_in(body.get("assertion")),
        browser=browser_of(asked.request).mark,
    )
    response = answer_json({"next": next_page(_text(body, "next"))})
    open_session(asked, response, who)
    return response


async def begin_confirming(asked: Asked) -> Response:
    """Return a challenge for this session's person alone."""
    await asked.members(signed_in=True)
    _, person = asked.who
    begun = begin_confirmation(
        asked.walk.authority, asked.walk.asking.passkeys, asked.walk.entropy, asked.seen()
    )
    desk = desk_of(asked.walk.asking.passkeys)
    own = desk.register.of(person.name)
    return answer_json({"ceremony": begun.id, "options": request_options(desk, begun.challenge, own)})


async def finish_confirming(asked: Asked) -> Response:
    """Verify this session's person again; after several failures the session ends."""
    body = await asked.members(signed_in=True)
    session, _ = asked.who
    try:
        await finish_confirmation(
            asked.walk.recorder,
            asked.walk.authority,
            asked.walk.asking.passkeys,
            asked.seen(),
            _text(body, "ceremony"),
            assertion_in(body.get("assertion")),
        )
    except Unverified:
        session.refused += 1
        if session.refused >= REFUSED_MAX:
            asked.console.sessions.end(asked.request.cookies.get(COOKIE, ""))
        raise
    asked.has_shown()
    return answer_json({"confirmed": True})


async def enrol_page(asked: Asked) -> Response:
    """Show the page on which an invited person enrols a passkey. The code is in the fragment (`#`), which only the
    browser sees."""
    return asked.page("enrol.html")


async def begin_enrolling(asked: Asked) -> Response:
    """Return a challenge for the device of an invited person; without a code, for another device of the signed-in
    person."""
    if _is_of_session(asked):
        await asked.members(signed_in=True)
        asked.require_fresh()
        session, own = asked.who
        begun = begin_own_enrolment(
            asked.walk.authority,
            asked.walk.asking.passkeys,
            asked.walk.entropy,
            own.name,
            session=session.name,
        )
    else:
        body = await asked.members(signed_in=False)
        code = _text(body, "code")
        asked.note_attempt(good_invitation(asked.walk.clock, asked.walk.asking.passkeys, code))
        begun = begin_enrolment(
            asked.walk.authority,
            asked.walk.asking.passkeys,
            asked.walk.entropy,
            code,
            browser=browser_of(asked.request).mark,
        )
    person = asked.walk.authority.registry.current.principals[begun.person]
    options = creation_options(desk_of(asked.walk.asking.passkeys), begun, display_name=person.display_name)
    return answer_json({"ceremony": begun.id, "options": options, "person": person.display_name})


async def finish_enrolling(asked: Asked) -> Response:
    """Register the passkey and sign its person in."""
    own = _is_of_session(asked)
    body = await asked.members(signed_in=own)
    _note_unbegun(asked, body)
    passkey = await finish_enrolment(
        asked.walk.recorder,
        asked.walk.authority,
        asked.walk.asking.passkeys,
        _text(body, "ceremony"),
        registration_in(body.get("registration")),
        label=_text(body, "label"),
        browser=browser_of(asked.request).mark,
        session=asked.who[0].name if own else "",
    )
    response = answer_json({"next": "/passkeys"})
    if asked.session is None or asked.session.person != passkey.person:
        open_session(asked, response, SignedIn(person=passkey.person, passkey=passkey))
    return response


async def sign_out(asked: Asked) -> Response:
    """End the session at once."""
    await asked.form()
    asked.console.sessions.end(asked.request.cookies.get(COOKIE, ""))
    response = see_other("/sign-in")
    set_cookie(response, COOKIE, "", seconds=0)
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def open_session(asked: Asked, response: Response, who: SignedIn, *, shown_seconds_ago: float = 0.0) -> None:
    """Open a session in place of the present one, if any."""
    sessions = asked.console.sessions
    sessions.end(asked.request.cookies.get(COOKIE, ""))
    secret = sessions.open(who, browser=browser_of(asked.request), shown_seconds_ago=shown_seconds_ago)
    set_cookie(response, COOKIE, secret, seconds=asked.console.needs.limits.session_seconds)
    known = asked.console.known.cookie_for(asked.request)
    set_cookie(response, known_browsers.COOKIE, known, seconds=known_browsers.KNOWN_SECONDS)


def _is_of_session(asked: Asked) -> bool:
    """Whether a signed-in person's own page sent the request, and not the page of an invited person."""
    return asked.session is not None and "x-csrf-token" in asked.request.headers


def _note_unbegun(asked: Asked, body: dict[str, JSONValue]) -> None:
    """Count an answer to nothing that was asked. The others were counted when they began, and each counts once."""
    if _text(body, "ceremony") not in desk_of(asked.walk.asking.passkeys).ceremonies:
        asked.note_attempt()


def _text(body: dict[str, JSONValue], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise REQUEST_BODY(f"`{name}` is not a text of at most {TEXT_CHARS_MAX} characters")
    return value
