"""Sign people in at an OpenID provider: authorization code with PKCE (OpenID Connect Core, 3.1; RFC 7636).

This module does not verify the returned ID token: like any other, it is verified with the issuer's keys.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import anyio
import httpx2

from answerable.adapters.oidc.sources import DISCOVERY_BYTES_MAX, DISCOVERY_PATH, checked_url, is_loopback
from answerable.connection_fault import connection_fault
from answerable.core.base64url import to_base64url
from answerable.core.canonical import Limits, parse
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.people import SIGN_IN_CODE
from answerable.errors.codes.tokens import ISSUER_ANSWER, ISSUER_UNREACHABLE

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.ports.clock import Clock

ANSWER_SECONDS_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 131_072
DISCOVERY_SECONDS: Final = 300.0
"""How long a discovery document is used."""
_PORT: Final = "console"


class OidcCodeFlow:
    """One client at one provider. Follows no redirects, and ignores proxy settings of the environment."""

    def __init__(
        self, issuer: str, *, client_id: str, client_secret: str = "", clock: Clock, login_seconds_max: int
    ) -> None:
        """client_secret: empty for a public client. login_seconds_max: maximum age of a person's login at the provider
        (`max_age`).

        Raises Malformed (`issuer.url`).
        """
        self.issuer = checked_url(issuer, loopback=True)
        self._client_id, self._client_secret = client_id, client_secret
        self._clock = clock
        self._login_seconds_max = login_seconds_max
        self._found: dict[str, JSONValue] = {}
        self._found_until = float("-inf")

    async def names_itself(self) -> bool:
        """Whether the provider's authorization responses carry `iss` (RFC 9207, section 3). Raises Unavailable
        (`issuer.*`)."""
        return (await self._discovered()).get("authorization_response_iss_parameter_supported") is True

    async def address(self, *, state: str, nonce: str, verifier: str, redirect: str) -> str:
        """Return the authorization URL for the browser. Raises Unavailable (`issuer.unreachable`, `issuer.answer`)."""
        endpoint = self._endpoint(await self._discovered(), "authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": to_base64url(sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "max_age": str(self._login_seconds_max),
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def id_token(self, code: str, *, verifier: str, redirect: str) -> str:
        """Exchange a code for the ID token. Raises Unverified (`sign_in.code`), Unavailable (`issuer.*`)."""
        found = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        auth: tuple[str, str] | None = None
        if not self._client_secret:
            form["client_id"] = self._client_id
        elif self._takes_basic(found):
            # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
            auth = (quote(self._client_id, safe=""), quote(self._client_secret, safe=""))
        else:
            form |= {"client_id": self._client_id, "client_secret": self._client_secret}
        status, answer = await self._asked("POST", self._endpoint(found, "token_endpoint"), form, auth)
        token = answer.get("id_token") if status == 200 else None
        if status in (400, 401, 403) or (status == 200 and not isinstance(token, str)):
            raise SIGN_IN_CODE()
        if not isinstance(token, str):
            raise self._odd(f"status {status}")
        return token

    async def _discovered(self) -> dict[str, JSONValue]:
        now = self._clock.monotonic()
        if now >= self._found_until:
            status, found = await self._asked("GET", self.issuer.rstrip("/") + DISCOVERY_PATH, None, None)
            if status != 200 or found.get("issuer") != self.issuer:
                raise self._odd("a discovery document that is not its own")
            self._found, self._found_until = found, now + DISCOVERY_SECONDS
        return self._found

    def _endpoint(self, found: dict[str, JSONValue], name: str) -> str:
        url = found.get(name)
        try:
            # The standard allows a query in endpoint URLs; it does not matter for this check.
            text = url if isinstance(url, str) else ""
            checked_url(text.partition("?")[0], loopback=is_loopback(self.issuer))
        except Malformed:
            raise self._odd(f"no `{name}` that may be used") from None
        return text

    def _takes_basic(self, found: dict[str, JSONValue]) -> bool:
        taken = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return isinstance(taken, list) and "client_secret_basic" in taken

    async def _asked(
        self, method: str, url: str, form: dict[str, str] | None, auth: tuple[str, str] | None
    ) -> tuple[int, dict[str, JSONValue]]:
        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "answerable"}
        try:
            with anyio.fail_after(ANSWER_SECONDS_MAX):
                async with (
                    httpx2.AsyncClient(
                        transport=httpx2.AsyncHTTPTransport(trust_env=False), trust_env=False,
                        follow_redirects=False, timeout=ANSWER_SECONDS_MAX, headers=headers,
                    ) as client,
                    client.stream(method, url, data=form, auth=auth) as response,
                ):  # fmt: skip
                    received = bytearray()
                    async for chunk in response.aiter_raw():
                        received += chunk
                        if len(received) > ANSWER_BYTES_MAX:
                            raise self._odd(f"more than {ANSWER_BYTES_MAX} bytes")
                    status = response.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError) as error:
            message = f"provider {shown(self.issuer)} was not reached: {connection_fault(error)}"
            raise ISSUER_UNREACHABLE(message) from None
        try:
            answer = parse(bytes(received), limits=Limits(size_bytes_max=DISCOVERY_BYTES_MAX, depth_max=8))
        except Malformed:
            answer = {}
        return status, answer if isinstance(answer, dict) else {}

    def _odd(self, what: str) -> Unavailable:
        return ISSUER_ANSWER(f"provider {shown(self.issuer)} answered with {what}", port=_PORT)
