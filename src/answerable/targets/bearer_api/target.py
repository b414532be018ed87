"""Offer the tool `request` on one HTTP API: send one request at a time, with a lease's token, to the configured URL
only."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import httpx2

from answerable.connection_fault import connection_fault
from answerable.core.canonical import encode, parse
from answerable.core.lease.credential import Performed
from answerable.core.lease.requests import METHODS, asked_request, let_request, rules_of
from answerable.errors import Unavailable, UnavailableCode, shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS, TARGET_TIMEOUT, TARGET_UNREACHABLE
from answerable.targets.bearer_api.answer import Answer, AnswerLimits, result_of
from answerable.targets.bearer_api.asking import quiet

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.core.lease.requests import AskedRequest, RequestRule
    from answerable.ports.upstream import Progress

TOKEN: Final = "token"  # noqa: S105 - what the secret of a credential is called
REQUESTS: Final = "requests"
"""Names of the members of a credential's secret: the token, and the request rules of its scope if the scope has any."""
TOOL: Final = "request"
BODY_BYTES_MAX: Final = 1_048_576
CONNECTIONS_MAX: Final = 1

_TAG: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_ARGUMENTS: Final = frozenset({"method", "path", "query", "body", "contentType"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiShape:
    """The differences between APIs.

    name: human-readable. description: of the tool. headers: sent with every request.
    content_types: types that a request body may have, the default first.
    tag_header: also carries the action's id, if the API logs such a header; else only `user-agent` does.
    shown_headers: response headers in the result.
    session_headers: response headers in which the server names the request.
    """

    name: str
    description: str
    headers: tuple[tuple[str, str], ...] = ()
    content_types: tuple[str, ...] = ("application/json",)
    tag_header: str = ""
    shown_headers: tuple[str, ...] = ("content-type", "location", "link", "retry-after")
    session_headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerTarget:
    """Implements ports.brokered_target.BrokeredTarget. url: base URL of the API, without a trailing `/`."""

    url: str
    shape: ApiShape
    context: ssl.SSLContext | None = None
    limits: AnswerLimits = field(default_factory=AnswerLimits)
    connect_seconds_max: float = 5.0

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Return the definition of the only tool, `request`."""
        return (_tool(self.shape),)

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[BearerSession]:
        """Yield a session with its own client and one connection, which opens with the first request."""
        quiet()
        names = credential.secret.names()
        rules = rules_of(parse(credential.secret.reveal(REQUESTS).encode())) if REQUESTS in names else None
        transport = httpx2.AsyncHTTPTransport(
            verify=self.context or True,
            trust_env=False,
            limits=httpx2.Limits(max_connections=CONNECTIONS_MAX),
        )
        async with httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False) as client:
            yield BearerSession(
                target=self, client=client, token=credential.secret.reveal(TOKEN), rules=rules
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerSession:
    """Implements ports.brokered_target.TargetSession. rules: requests that the lease allows; None if the API itself
    enforces the token's scope."""

    target: BearerTarget
    client: httpx2.AsyncClient
    token: str = field(repr=False)
    rules: tuple[RequestRule, ...] | None = None

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Send one HTTP request. Redirects are not followed: the result shows their location."""
        asked, body, kind = self._checked(tool, arguments)
        headers = self._headers(tag)
        if body is not None:
            headers["content-type"] = kind
        try:
            with anyio.fail_after(seconds_max):
                answer = await self._answered(asked, headers, body)
        except TimeoutError:
            raise self._failed(
                f"no whole answer within {seconds_max:g} seconds", TARGET_TIMEOUT, "unknown"
            ) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise self._failed(
                f"cannot be reached: {connection_fault(error)}", TARGET_UNREACHABLE, "none"
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._failed(
                f"broke off: {connection_fault(error)}", TARGET_UNREACHABLE, "unknown"
            ) from None
        shape = self.target.shape
        result = result_of(answer, shown_headers=shape.shown_headers, hidden=(self.token,))
        named = ((name, answer.headers.get(header, "")[:200]) for name, header in shape.session_headers)
        return Performed(result=result, session=tuple((name, value) for name, value in named if value))

    def _checked(
        self, tool: str, arguments: Mapping[str, JSONValue]
    ) -> tuple[AskedRequest, bytes | None, str]:
        if tool != TOOL:
            raise TARGET_ARGUMENTS(
                f"there is no tool {shown(tool)} of {self.target.shape.name}: use `{TOOL}`"
            )
        if unknown := sorted(arguments.keys() - _ARGUMENTS):
            raise TARGET_ARGUMENTS(f"unknown argument {shown(unknown[0])} of tool `{TOOL}`")
        asked = asked_request(arguments.get("method"), arguments.get("path"), arguments.get("query"))
        if self.rules is not None:
            let_request(self.rules, asked)
        kinds = self.target.shape.content_types
        kind = arguments.get("contentType", kinds[0])
        if kind not in kinds:
            raise TARGET_ARGUMENTS(f"`contentType` must be one of {', '.join(kinds)}")
        if "body" not in arguments:
            return asked, None, str(kind)
        if asked.method in ("GET", "HEAD"):
            raise TARGET_ARGUMENTS(f"a request with method {asked.method} takes no body")
        body = encode(arguments["body"])
        if len(body) > BODY_BYTES_MAX:
            raise TARGET_ARGUMENTS(f"a body of {len(body)} bytes, expected at most {BODY_BYTES_MAX}")
        return asked, body, str(kind)

    def _headers(self, tag: str) -> dict[str, str]:
        shape = self.target.shape
        headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "answerable"}
        headers |= dict(shape.headers)
        if _TAG.fullmatch(tag):
            headers["user-agent"] = f"answerable/{tag}"
            if shape.tag_header:
                headers[shape.tag_header] = tag
        return {**headers, "authorization": f"Bearer {self.token}"}

    async def _answered(self, asked: AskedRequest, headers: dict[str, str], body: bytes | None) -> Answer:
        url = self._url(asked)
        timeout = httpx2.Timeout(None, connect=self.target.connect_seconds_max)
        bytes_max = self.target.limits.bytes_max
        async with self.client.stream(
            asked.method, url, headers=headers, content=body, timeout=timeout
        ) as response:
            received, is_cut = bytearray(), False
            # Raw bytes: nothing is decompressed, so a small response cannot expand.
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > bytes_max:
                    is_cut = True
                    break
            return Answer(
                status=response.status_code,
                headers=dict(response.headers),
                body=bytes(received[:bytes_max]),
                is_cut=is_cut,
            )

    def _url(self, asked: AskedRequest) -> httpx2.URL:
        url = httpx2.URL(self.target.url + asked.target())
        place = httpx2.URL(self.target.url)
        sent = url.raw_path.decode("ascii")
        if (url.scheme, url.host, url.port) != (place.scheme, place.host, place.port) or not sent.endswith(
            asked.target()
        ):
            raise TARGET_ARGUMENTS(f"the path {shown(asked.path)} is not in normal form: write {shown(sent)}")
        return url

    def _failed(self, why: str, code: UnavailableCode, effect: str) -> Unavailable:
        return code(f"{self.target.shape.name}: {why}", effect="none" if effect == "none" else "unknown")


def _tool(shape: ApiShape) -> Mapping[str, JSONValue]:
    properties: dict[str, JSONValue] = {
        "method": {"type": "string", "enum": list(METHODS), "description": "HTTP method"},
        "path": {
            "type": "string",
            "pattern": "^/",
            "maxLength": 2048,
            "description": "path below the API's own address, unencoded, without query",
        },
        "query": {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 2048},
            "maxProperties": 32,
            "description": "parameters of the query, unencoded, each once",
        },
        "body": {"$ref": "#/$defs/anything", "description": "sent as JSON; not with GET and HEAD"},
    }
    if len(shape.content_types) > 1:
        properties["contentType"] = {
            "type": "string",
            "enum": list(shape.content_types),
            "description": f"of the body; {shape.content_types[0]} by default",
        }
    return {
        "name": TOOL,
        "title": f"Ask {shape.name}",
        "description": shape.description,
        "inputSchema": {
            "type": "object",
            "properties": properties,
            "required": ["method", "path"],
            "additionalProperties": False,
            # Explicit at every depth, because the gateway closes object and list schemas that do not declare themselves
            # open.
            "$defs": {"anything": {"additionalProperties": True, "items": {"$ref": "#/$defs/anything"}}},
        },
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": True,
            "idempotentHint": False,
            "openWorldHint": True,
        },
    }
