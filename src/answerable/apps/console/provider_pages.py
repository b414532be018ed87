"""Sign in with an OpenID provider: authorization code flow with PKCE, state and nonce, each valid once and for minutes.

A compromised provider can speak only for its own people (RFC 9700, section 4.4): each provider has its own redirect
URI, its response names its issuer where it supports that (RFC 9207), and the ID token must be from the provider that
was called.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse

from answerable.apps.console.desk import set_cookie
from answerable.apps.console.guard import HEADERS, next_page
from answerable.apps.console.sign_in_pages import open_session
from answerable.core.base64url import to_base64url
from answerable.errors import Unverified, shown
from answerable.errors.codes.people import (
    PASSKEY_BUSY,
    SIGN_IN_BROWSER,
    SIGN_IN_DENIED,
    SIGN_IN_ISSUER,
    SIGN_IN_STATE,
)
from answerable.errors.codes.services import CONSOLE_GONE
from answerable.flows.people.sign_in import count_refused_sign_in, sign_in_by_provider

if TYPE_CHECKING:
    from starlette.responses import Response

    from answerable.apps.console.desk import Asked
    from answerable.apps.console.services import CodeFlow

COOKIE: Final = "__Host-answerable-provider"
CALLBACK: Final = "/sign-in/callback/"
BEGUN_SECONDS_MAX: Final = 300
BEGUN_MAX: Final = 1_000
SECRET_BYTES: Final = 32
CODE_CHARS_MAX: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in in progress at a provider. names_itself: whether the provider's response names its issuer. browser:
    hash of the cookie that only this browser has."""

    provider: CodeFlow
    names_itself: bool
    nonce: str
    verifier: str
    browser: bytes
    target: str
    until: float


class ProviderDesk:
    """Sign-ins in progress at providers, by their state."""

    def __init__(self) -> None:
        self._begun: dict[str, Begun] = {}

    async def begin(self, asked: Asked) -> Response:
        """Redirect the browser to a provider."""
        found = asked.request.query_params.get("issuer", "")
        provider = next((one for one in asked.console.needs.providers if one.issuer == found), None)
        if provider is None:
            raise CONSOLE_GONE(f"sign-in at {shown(found)} is not configured")
        asked.note_attempt()
        now, random = asked.walk.clock.monotonic(), asked.walk.entropy.bytes
        self._begun = {state: one for state, one in self._begun.items() if now < one.until}
        if len(self._begun) >= BEGUN_MAX:
            raise PASSKEY_BUSY("too many sign-ins are in progress: try again in a minute")
        state, nonce, verifier, browser = (to_base64url(random(SECRET_BYTES)) for _ in range(4))
        address = await provider.address(
            state=state, nonce=nonce, verifier=verifier, redirect=_redirect(asked, provider)
        )
        self._begun[state] = Begun(
            provider=provider,
            names_itself=await provider.names_itself(),
            nonce=nonce,
            verifier=verifier,
            browser=sha256(browser.encode()).digest(),
            target=next_page(asked.request.query_params.get("next", "/")),
            until=now + BEGUN_SECONDS_MAX,
        )
        response = RedirectResponse(address, status_code=302, headers=HEADERS)
        # SameSite is Lax, because the provider sends the browser back from its own site. The cookie alone opens
        # nothing.
        set_cookie(response, COOKIE, browser, seconds=BEGUN_SECONDS_MAX, strict=False)
        return response

    async def end(self, asked: Asked) -> Response:
        """Handle the browser's return: open a session if the provider identifies the person. A mismatched return is
        counted, and the ledger records the counts."""
        try:
            begun, code = self._returned(asked)
        except Unverified as fault:
            count_refused_sign_in(asked.walk.asking.passkeys, fault.code)
            raise
        provider = begun.provider
        token = await provider.id_token(code, verifier=begun.verifier, redirect=_redirect(asked, provider))
        who = await sign_in_by_provider(
            asked.walk.authority, asked.walk.asking, token, nonce=begun.nonce, issuer=provider.issuer
        )
        # Continue through a page of the console: a browser withholds a strict cookie after a navigation through another
        # site.
        response = asked.page("bounce.html", target=begun.target)
        since = max(0.0, (asked.walk.clock.now() - who.shown_at) / 1000)
        open_session(asked, response, who, shown_seconds_ago=since)
        set_cookie(response, COOKIE, "", seconds=0, strict=False)
        return response

    def _returned(self, asked: Asked) -> tuple[Begun, str]:
        """Return the sign-in that this request completes, and its code. Raises Unverified (`sign_in.*`)."""
        query = asked.request.query_params
        # A repeated parameter could be read differently by the provider and by this server (RFC 6749, section 3.1).
        twice = any(len(query.getlist(name)) > 1 for name in ("state", "iss", "code"))
        begun = self._begun.pop("" if twice else query.get("state", ""), None)
        browser = sha256(asked.request.cookies.get(COOKIE, "").encode("utf-8", "replace")).digest()
        if begun is None or asked.walk.clock.monotonic() >= begun.until:
            raise SIGN_IN_STATE()
        if not hmac.compare_digest(begun.browser, browser):
            raise SIGN_IN_BROWSER()
        issuer = begun.provider.issuer
        says = query.get("iss", "" if begun.names_itself else issuer)
        if says != issuer or asked.request.url.path != callback_of(issuer):
            raise SIGN_IN_ISSUER()
        code = query.get("code", "")
        if not 0 < len(code) <= CODE_CHARS_MAX:
            raise SIGN_IN_DENIED()
        return begun, code


def callback_of(issuer: str) -> str:
    """Return the redirect path of one provider; every provider has its own."""
    return CALLBACK + sha256(issuer.encode()).hexdigest()[:16]


def _redirect(asked: Asked, provider: CodeFlow) -> str:
    return asked.console.needs.origin + callback_of(provider.issuer)
