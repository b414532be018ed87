"""Call an authorization server as its client: token requests (RFC 6749, 8693), revocation (RFC 7009) and introspection
(RFC 7662). Follows no redirects, ignores proxy settings of the environment, and bounds every answer."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote_plus, urlencode

import anyio
import httpx2
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from answerable.adapters.http_target.grant import ANSWER_BYTES_MAX, error_in
from answerable.connection_fault import connection_fault
from answerable.errors import AnswerableError, Unavailable, shown
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.errors.codes.tokens import OAUTH_KEY
from answerable.targets.http_place import quiet_wire, tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from joserfc.jwk import ECKey, OKPKey, RSAKey

    from answerable.adapters.http_target.grant import Form
    from answerable.errors import Effect
    from answerable.ports.clock import Clock
    from answerable.ports.entropy import Entropy

ClientAuth = Literal["basic", "post", "private_key_jwt"]

ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 60
KEEPALIVE_SECONDS: Final = 2.0
CONNECTIONS_MAX: Final = 16
_NOT_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """The client's settings. secret: reference to its password, or to its private key (PEM or JWK) for
    `private_key_jwt`. issuer: audience of assertions; the token URL if empty. authorities: reference to trusted CA
    certificates, PEM."""

    token_url: str
    client_id: str
    secret: str
    auth: ClientAuth = "basic"
    algorithm: str = "ES256"
    key_id: str = ""
    issuer: str = ""
    revocation_url: str = ""
    introspection_url: str = ""
    authorities: str = ""
    seconds_max: float = 10.0


class OAuthServer:
    """Client of one authorization server. Each call ends within `seconds_max`. Raises Unavailable (`lease.target`),
    with effect `none` only if nothing was sent or the server states that it issued nothing."""

    def __init__(
        self, client: OAuthClient, *, secret_of: Callable[[str], bytes], clock: Clock, entropy: Entropy
    ) -> None:
        self._client = client
        self._secret_of = secret_of
        self._clock = clock
        self._entropy = entropy
        quiet_wire()
        self._http: httpx2.AsyncClient | None = None

    async def token(self, form: Form) -> tuple[int, bytes]:
        """Send a token request. Return the status and body of the answer."""
        return await self._posted(self._client.token_url, form)

    async def revoke(self, token: str) -> bool:
        """Revoke a token. Return False if the server cannot revoke tokens of this kind."""
        form = [("token", token), ("token_type_hint", "access_token")]
        status, body = await self._posted(self._client.revocation_url, form)
        if status == 200:
            return True
        if status == 400 and error_in(body) == "unsupported_token_type":
            return False
        raise self._unavailable(f"it took no token back: {_said(status, body)}", effect="unknown")

    async def introspect(self, token: str) -> bytes:
        """Return the server's introspection answer for a token."""
        status, body = await self._posted(
            self._client.introspection_url, [("token", token), ("token_type_hint", "access_token")]
        )
        if status != 200:
            raise self._unavailable(f"it says nothing of a token: {_said(status, body)}")
        return body

    async def close(self) -> None:
        """Close the connections. The next call opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _posted(self, url: str, form: Form) -> tuple[int, bytes]:
        seconds_max = self._client.seconds_max
        try:
            form, headers = self._authenticated(form)
            http = self._opened()
        except (AnswerableError, UnicodeDecodeError) as fault:
            why = fault.message if isinstance(fault, AnswerableError) else "it is no text"
            raise self._unavailable(f"our client's secret cannot be used: {why}") from None
        try:
            with anyio.fail_after(seconds_max):
                async with http.stream(
                    "POST", url, content=urlencode(form).encode(), headers=headers
                ) as response:
                    received = bytearray()
                    async for chunk in response.aiter_raw():
                        received += chunk
                        if len(received) > ANSWER_BYTES_MAX:
                            break
                    return response.status_code, bytes(received)
        except TimeoutError:
            raise self._unavailable(
                f"no whole answer within {seconds_max:g} seconds", effect="unknown"
            ) from None
        except _NOT_SENT as error:
            raise self._unavailable(connection_fault(error)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._unavailable(connection_fault(error), effect="unknown") from None

    def _authenticated(self, form: Form) -> tuple[Form, dict[str, str]]:
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        client = self._client
        secret = self._secret_of(client.secret)
        if client.auth == "private_key_jwt":
            return [
                *form,
                ("client_assertion_type", ASSERTION),
                ("client_assertion", self._assertion(secret)),
            ], headers
        password = secret.decode("utf-8", "strict").strip()
        if client.auth == "post":
            return [*form, ("client_id", client.client_id), ("client_secret", password)], headers
        # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
        pair = f"{quote_plus(client.client_id)}:{quote_plus(password)}"
        headers["authorization"] = "Basic " + b64encode(pair.encode()).decode()
        return form, headers

    def _assertion(self, secret: bytes) -> str:
        """Return a signed client assertion (RFC 7523, section 3)."""
        client, now = self._client, self._clock.now() // 1000
        header = {"alg": client.algorithm, "typ": "JWT"} | ({"kid": client.key_id} if client.key_id else {})
        claims = {
            "iss": client.client_id,
            "sub": client.client_id,
            "aud": client.issuer or client.token_url,
            "jti": self._entropy.token(),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        try:
            key = _key(secret.decode(), client.algorithm)
            return jwt.encode(header, claims, key, algorithms=[client.algorithm])
        except (JoseError, ValueError, KeyError, TypeError):
            raise OAUTH_KEY(f"the key does not fit algorithm {client.algorithm}") from None

    def _opened(self) -> httpx2.AsyncClient:
        if self._http is None:
            context: ssl.SSLContext | bool = False
            if self._client.token_url.startswith("https:"):
                pem = self._secret_of(self._client.authorities) if self._client.authorities else b""
                context = tls_context(pem)
            limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, keepalive_expiry=KEEPALIVE_SECONDS)
            self._http = httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(verify=context, limits=limits, trust_env=False),
                timeout=self._client.seconds_max,
                trust_env=False,
                follow_redirects=False,
                headers={"accept-encoding": "identity", "user-agent": "answerable"},
            )
        return self._http

    def _unavailable(self, why: str, *, effect: Effect = "none") -> Unavailable:
        return LEASE_TARGET(
            f"the authorization server of client {shown(self._client.client_id)} cannot be used: {why}",
            effect=effect,
        )


def _key(content: str, algorithm: str) -> ECKey | OKPKey | RSAKey:
    """Import a key from PEM or JWK."""
    is_jwk = content.lstrip().startswith("{")
    text = msgspec.json.decode(content, type=dict[str, str | list[str]]) if is_jwk else content
    if algorithm.startswith("ES"):
        return import_key(text, "EC")
    return import_key(text, "OKP") if algorithm == "EdDSA" else import_key(text, "RSA")


def _said(status: int, body: bytes) -> str:
    code = error_in(body)
    return f"status {status}" + (f", {shown(code)}" if code else "")
