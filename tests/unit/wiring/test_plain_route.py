"""Routes by the parts of a path, held against Starlette's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from answerable.wiring.plain_route import PlainRoute

pytestmark = pytest.mark.requirement("FAST-42")

TEMPLATES = ("/", "/v1/a", "/v1/{name}", "/v1/{name}/b", "/v1/{name}/{id}", "/v1/a/{rest:path}", "/{first}/a")
PATHS = st.lists(st.sampled_from(("", "v1", "a", "b", "é", "{name}", "a%2Fb", "a b")), max_size=5).map(
    lambda parts: "/" + "/".join(parts)
)


async def endpoint(request: Request) -> Response:
    return Response(repr(request.path_params))


def scope_of(path: str, method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "path": path, "method": method, "headers": []}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("method", ["GET", "POST"])
@given(path=PATHS, asked=st.sampled_from(("GET", "HEAD", "POST", "PUT")))
@example(path="/v1/a/", asked="GET")
@example(path="/v1//b", asked="GET")
@example(path="/v1/a/b/a", asked="HEAD")
def test_a_route_takes_what_starlettes_takes(template: str, method: str, path: str, asked: str) -> None:
    ours, theirs = PlainRoute(template, endpoint, method=method), Route(template, endpoint, methods=[method])
    (how, found), (wanted, known) = (one.matches(scope_of(path, asked)) for one in (ours, theirs))
    assert how is wanted
    assert found.get("path_params") == known.get("path_params")


def test_a_path_with_a_line_break_at_its_end_is_another_path() -> None:
    assert PlainRoute("/v1/a", endpoint).matches(scope_of("/v1/a\n")) == (Match.NONE, {})


def test_nothing_but_http_is_routed() -> None:
    assert PlainRoute("/v1/a", endpoint).matches({"type": "websocket", "path": "/v1/a"}) == (Match.NONE, {})


def answered(path: str, method: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """What an application with one route answers."""
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        said.append(message)

    app = Starlette(routes=[PlainRoute("/v1/{name}", endpoint)])
    asyncio.run(app(scope_of(path, method) | {"query_string": b""}, receive, send))
    return said[0]["status"], dict(said[0]["headers"]), said[1]["body"]


def test_the_endpoint_is_given_the_named_parts() -> None:
    assert answered("/v1/a", "GET")[::2] == (200, b"{'name': 'a'}")


def test_another_method_is_told_which_are_allowed() -> None:
    status, headers, _ = answered("/v1/a", "POST")
    assert (status, headers[b"allow"]) == (405, b"GET, HEAD")
