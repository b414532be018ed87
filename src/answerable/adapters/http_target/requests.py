"""Build the single HTTP request for an agent's arguments. Pure.

Laws: the lease's rules allow the method, path and query, which are encoded once; an agent's header is sent only if the
settings list it and its value is one line; only this module sets headers for identity, host, length and correlation; a
body is one text with its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from answerable.core.canonical import encode
from answerable.core.lease.requests import asked_request, let_request
from answerable.errors import Malformed, shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from answerable.adapters.http_target.scope import HttpScope
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.requests import AskedRequest
    from answerable.targets.standing_secret import Injection

SAFE: Final = ("GET", "HEAD")
"""Methods that ask for nothing but to read."""
HEADERS_MAX: Final = 16
HEADER_CHARS_MAX: Final = 1_024
MEMBERS: Final = frozenset({"method", "path", "query", "headers", "body", "text"})

STRIPPED: Final = frozenset(
    "traceparent tracestate baggage idempotency-key x-request-id x-correlation-id user-agent".split()
)
"""Headers that only the broker sets; an agent's values are dropped silently."""
NEVER: Final = frozenset(
    """
    accept-encoding authorization connection content-length cookie cookie2 date dpop expect forwarded from host
    http2-settings keep-alive max-forwards origin proxy-authenticate proxy-authorization proxy-connection referer te
    trailer transfer-encoding upgrade via x-api-key x-http-method x-http-method-override x-method-override
    x-original-host x-original-method x-original-url x-real-ip x-rewrite-url
    """.split()
)
NEVER_STARTS: Final = ("proxy-", "sec-", "x-forwarded-", "x-amz-security-")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The request as sent. target: encoded path and query, below the base URL of the settings."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        return f"Sent({self.method})"


def header_fault(name: str) -> str:
    """Return why agents may never set this header; empty if settings may allow it. name: in lower case."""
    if not _NAME.fullmatch(name):
        return f"{shown(name)} is not the name of a header in lower case"
    if name in NEVER or name in STRIPPED or name.startswith(NEVER_STARTS):
        return f"the header {shown(name)} is the broker's, or nobody's"
    return ""


def sent_request(
    arguments: Mapping[str, JSONValue],
    scope: HttpScope,
    injection: Injection,
    *,
    tag: str,
    headers_let: Iterable[str],
    body_bytes_max: int,
    methods: tuple[str, ...] = (),
) -> Sent:
    """Build the request. methods: those that the tool allows; empty for any. Raises Refused (`target.arguments`), in
    which case nothing is sent."""
    if unknown := sorted(arguments.keys() - MEMBERS):
        raise TARGET_ARGUMENTS(f"unknown argument {shown(unknown[0])}")
    asked = asked_request(arguments.get("method", "GET"), arguments.get("path"), arguments.get("query"))
    if methods and asked.method not in methods:
        raise TARGET_ARGUMENTS(
            f"method {asked.method} is not allowed for this tool: use {' or '.join(methods)}"
        )
    let_request(scope.rules, asked)
    injected = {name.lower() for name, _ in injection.headers}
    headers = _agents_headers(arguments.get("headers"), frozenset(headers_let) - injected)
    body, kind = _body(arguments, body_bytes_max)
    if body and asked.method in SAFE:
        raise TARGET_ARGUMENTS(f"a request with method {asked.method} takes no body")
    if kind and "content-type" not in headers:
        headers["content-type"] = kind
    headers |= _own_headers(tag, asked, with_length=bool(body) or asked.method not in SAFE, length=len(body))
    return Sent(
        method=asked.method,
        target=_with_injected(asked, injection),
        headers=(*sorted(headers.items()), *injection.headers),
        body=body,
    )


def traceparent_of(tag: str) -> str:
    """Return a W3C Trace Context `traceparent` derived from the tag, so that the request can be found in the server's
    traces."""
    digest = sha256(f"answerable traceparent {tag}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def _with_injected(asked: AskedRequest, injection: Injection) -> str:
    if not injection.query:
        return asked.target()
    names = {name.lower() for name, _ in injection.query}
    if taken := [name for name, _ in asked.query if name.lower() in names]:
        raise TARGET_ARGUMENTS(f"the parameter {shown(taken[0])} is set by the broker: leave it out")
    return type(asked)(method=asked.method, path=asked.path, query=(*asked.query, *injection.query)).target()


def _agents_headers(given: JSONValue, let: frozenset[str]) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > HEADERS_MAX:
        raise TARGET_ARGUMENTS(f"`headers` must be an object of at most {HEADERS_MAX} texts")
    headers: dict[str, str] = {}
    for spelled, value in given.items():
        name = spelled.lower()
        if name in STRIPPED:
            continue
        if name not in let or name in headers:
            listed = ", ".join(sorted(let)) or "none"
            raise TARGET_ARGUMENTS(
                f"the header {shown(spelled, 64)} is not allowed or is given twice; allowed are {listed}"
            )
        if not isinstance(value, str) or len(value) > HEADER_CHARS_MAX or not _VALUE.fullmatch(value):
            raise TARGET_ARGUMENTS(
                f"the header {shown(name)} must be one line of at most {HEADER_CHARS_MAX} "
                "printable ASCII characters"
            )
        headers[name] = value.strip()
    return headers


def _own_headers(tag: str, asked: AskedRequest, *, with_length: bool, length: int) -> dict[str, str]:
    own = {"accept-encoding": "identity", "user-agent": "answerable"}
    if with_length:
        own["content-length"] = str(length)
    if tag:
        # Most servers log the user agent; some log the other headers.
        own |= {"user-agent": f"answerable/{tag}", "x-request-id": tag, "traceparent": traceparent_of(tag)}
        if asked.method not in SAFE:
            own["idempotency-key"] = tag
    return own


def _body(arguments: Mapping[str, JSONValue], bytes_max: int) -> tuple[bytes, str]:
    body, text = arguments.get("body"), arguments.get("text")
    if body is not None and text is not None:
        raise TARGET_ARGUMENTS("give either `body` (JSON) or `text`, not both")
    if text is not None and not isinstance(text, str):
        raise TARGET_ARGUMENTS("`text` must be text")
    try:
        content = b"" if body is None else encode(body)
        content = content or (text.encode() if isinstance(text, str) else b"")
    except (Malformed, UnicodeEncodeError):
        raise TARGET_ARGUMENTS("the body contains an unpaired surrogate and cannot be sent") from None
    if len(content) > bytes_max:
        raise TARGET_ARGUMENTS(f"the body has {len(content)} bytes, expected at most {bytes_max}")
    kind = "application/json" if body is not None else "text/plain; charset=utf-8" if text else ""
    return content, kind
