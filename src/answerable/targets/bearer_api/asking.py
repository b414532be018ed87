"""Send JSON requests to an API that issues credentials, authenticated with the broker's own secret."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio
import httpx2

from answerable.connection_fault import connection_fault
from answerable.core.canonical import Limits, encode, parse
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.targets.bearer_api.answer import without

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.errors import Effect

ANSWER_BYTES_MAX: Final = 4_194_304
CONNECTIONS_MAX: Final = 16
SECRET_CHARS_MIN: Final = 12
_HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "answerable"}


def quiet() -> None:
    """Disable HTTP debug logs: request headers and response bodies contain tokens."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonApi:
    """HTTP client of one JSON API, with pooled connections. Issuers pass the headers for each request."""

    def __init__(
        self,
        *,
        what: str,
        url: str,
        context: ssl.SSLContext | None = None,
        answer_seconds_max: float = 10.0,
    ) -> None:
        """what: name of the API in error messages, such as `the cluster`. url: base URL, without a trailing `/`.
        Construction opens no connection."""
        quiet()
        self._what = what
        self._url = url
        self._context = context
        self._answer_seconds_max = answer_seconds_max
        self._client: httpx2.AsyncClient | None = None

    async def asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, JSONValue] | None = None,
        *,
        headers: Mapping[str, str],
        taken: Collection[int] = (),
    ) -> tuple[int, dict[str, JSONValue]]:
        """Send one request and return the status and the JSON object of its response. headers: include the secret that
        authenticates. taken: error statuses that the caller handles itself.

        Raises Unavailable (`lease.target`), whose message holds the API's answer and nothing that was sent.
        """
        reading = method == "GET"
        try:
            with anyio.fail_after(self._answer_seconds_max):
                status, answer = await self._answered(method, path, body, headers)
        except TimeoutError:
            raise self._unavailable(
                f"no answer within {self._answer_seconds_max:g} seconds", "none" if reading else "unknown"
            ) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise self._unavailable(f"it cannot be reached: {connection_fault(error)}", "none") from None
        except (httpx2.HTTPError, OSError) as error:
            raise self._unavailable(
                f"the connection broke: {connection_fault(error)}", "none" if reading else "unknown"
            ) from None
        except ValueError:
            raise self._unavailable("its secret has characters that no header can hold", "none") from None
        if status < 300 or status in taken:
            return status, answer
        said = shown(without(_said(answer), _secrets(headers)), 300)
        # A request that the API refused with a reason had no effect.
        raise self._unavailable(f"it answered {status}: {said}", "none" if status < 500 else "unknown")

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _answered(
        self, method: str, path: str, body: Mapping[str, JSONValue] | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, JSONValue]]:
        headers = {**_HEADERS, **headers}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = encode(dict(body))
        async with self._connected().stream(
            method, self._url + path, headers=headers, content=content
        ) as response:
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > ANSWER_BYTES_MAX:
                    raise httpx2.ReadError(f"more than {ANSWER_BYTES_MAX} bytes")
        return response.status_code, _object(bytes(received))

    def _unavailable(self, why: str, effect: Effect) -> Unavailable:
        return LEASE_TARGET(f"{self._what}: {why}", effect=effect)

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(
                    verify=self._context or True,
                    trust_env=False,
                    limits=httpx2.Limits(
                        max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX
                    ),
                ),
                timeout=self._answer_seconds_max,
                trust_env=False,
                follow_redirects=False,
            )
        return self._client


def _object(body: bytes) -> dict[str, JSONValue]:
    try:
        found = parse(body, limits=Limits(size_bytes_max=ANSWER_BYTES_MAX))
    except Malformed:
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: Mapping[str, JSONValue]) -> str:
    """Return the API's reason for a refusal, from whichever of the usual members holds it."""
    for member in ("message", "errors", "reason"):
        if said := answer.get(member):
            return "; ".join(map(str, said)) if isinstance(said, list) else str(said)
    return "nothing"


def _secrets(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words of the headers that may be secrets, which an API could repeat in its answer."""
    words = (word for value in headers.values() for word in value.split())
    return tuple(word for word in words if len(word) >= SECRET_CHARS_MIN)
