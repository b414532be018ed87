"""Find the endpoint of a request by the parts of its path.

Starlette's own routes compile a regular expression each, and those of the control API took a sixth of the start of
every command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, request_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response


class PlainRoute(BaseRoute):
    """One path and one method; HEAD is answered as GET.

    In `path`, `{name}` stands for one part, which is not empty, and `{name:path}` at the end for all that follows;
    their values are the request's `path_params`.
    """

    def __init__(
        self, path: str, endpoint: Callable[[Request], Awaitable[Response]], *, method: str = "GET"
    ) -> None:
        self.path = path
        self.methods = frozenset({"GET", "HEAD"} if method == "GET" else {method})
        self.endpoint = endpoint
        self._app = request_response(endpoint)
        self._fixed, _, named = path.partition("{")
        self._parts = ("{" + named).split("/") if named else []
        self._takes_rest = path.endswith(":path}")

    def matches(self, scope: Any) -> tuple[Match, dict[str, Any]]:
        """As Starlette asks: in full, all but the method, or not at all; and what the endpoint finds in its request."""
        found = self._found(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            return Match.NONE, {}
        return Match.FULL if scope["method"] in self.methods else Match.PARTIAL, {"path_params": found}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the endpoint. Raises HTTPException (405) for another method."""
        if scope["method"] not in self.methods:
            raise HTTPException(status_code=405, headers={"Allow": ", ".join(sorted(self.methods))})
        await self._app(scope, receive, send)

    def _found(self, path: str) -> dict[str, str] | None:
        """Return the values of the named parts; None for another path."""
        if not self._parts:
            return {} if path == self.path else None
        if not path.startswith(self._fixed):
            return None
        given = path[len(self._fixed) :].split("/", len(self._parts) - 1 if self._takes_rest else -1)
        if len(given) != len(self._parts):
            return None
        found: dict[str, str] = {}
        for part, value in zip(self._parts, given, strict=True):
            if not part.startswith("{"):
                if part != value:
                    return None
            elif value or part.endswith(":path}"):
                found[part[1:-1].removesuffix(":path")] = value
            else:
                return None
        return found
