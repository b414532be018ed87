"""Serve a witness as an ASGI application (C2SP tlog-witness): two routes, and one answer for each kind of failure.

The only authentication is the log's signature on its checkpoint: every request is bounded before it is parsed, and an
error says only what was wrong with the request.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from answerable.core.tlog.witnessing import BODY_BYTES_MAX
from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified
from answerable.ports.witness import Remembered
from answerable.wiring.plain_route import PlainRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from answerable.ports.witness import Cosigned

SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"
BODY_SECONDS_MAX: Final = 15.0
APART_SECONDS: Final = 60.0
CAUSES_MAX: Final = 64

_TEXT: Final = "text/plain; charset=utf-8"
_log: Final = logging.getLogger(__name__)


class _TooLong(Exception):
    """The body is longer than any request of the protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessServices:
    """The dependencies. cosign: judges a request body; blocking. newest: the newest cosigned checkpoint by hash of the
    origin, None if unknown."""

    cosign: Callable[[bytes], Cosigned | Remembered]
    newest: Callable[[str], bytes | None]


class _Failures:
    """What is logged of failures that each request meets again: an Unavailable once in APART_SECONDS for each code,
    because its message may hold a figure that changes; any other once for each cause, and again after a time without
    it."""

    def __init__(self) -> None:
        self._logged: dict[str, float] = {}
        self._met: dict[str, float] = {}

    def log(self, error: AnswerableError) -> None:
        """Log a failure, unless that was done."""
        now, said = time.monotonic(), f"{error.code}: {error.message}"
        if isinstance(error, Unavailable):
            if now - self._logged.get(error.code, -math.inf) >= APART_SECONDS:
                self._logged[error.code] = now
                _log.warning("%s", said)
            return
        met = self._met.pop(said, -math.inf)
        self._met[said] = now
        if len(self._met) > CAUSES_MAX:
            del self._met[next(iter(self._met))]
        if now - met >= APART_SECONDS:
            _log.error("%s", said)


def witness_app(needs: WitnessServices, *, body_seconds_max: float = BODY_SECONDS_MAX) -> Starlette:
    """Return the application: `POST /add-checkpoint` and `GET /<hash of origin>/checkpoint`. Every request gets a
    response; no exception escapes."""
    failures = _Failures()

    async def add_checkpoint(request: Request) -> Response:
        try:
            with anyio.fail_after(body_seconds_max):
                body = await _body(request)
        except TimeoutError:
            return _said(408, "the body took too long to come")
        except _TooLong:
            return _said(413, f"the body has more than {BODY_BYTES_MAX} bytes")
        except ClientDisconnect:
            return _said(400, "the body broke off")
        return await to_thread.run_sync(_answered, needs, body, failures)

    async def checkpoint(request: Request) -> Response:
        return await to_thread.run_sync(_shown, needs, request.path_params["origin_hash"], failures)

    return Starlette(
        routes=[
            PlainRoute("/add-checkpoint", add_checkpoint, method="POST"),
            PlainRoute("/{origin_hash}/checkpoint", checkpoint),
        ]
    )


async def _body(request: Request) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > BODY_BYTES_MAX:
            raise _TooLong
    return bytes(received)


def _answered(needs: WitnessServices, body: bytes, failures: _Failures) -> Response:
    try:
        answer = needs.cosign(body)
    except AnswerableError as error:
        return _refusal(error, failures)
    except Exception:
        _log.exception("a request could not be judged")
        return _said(500, "internal error: see the witness's log")
    if isinstance(answer, Remembered):
        return Response(f"{answer.size}\n", status_code=409, headers={"content-type": SIZE_MEDIA_TYPE})
    return Response(answer.signatures, status_code=200, headers={"content-type": _TEXT})


def _shown(needs: WitnessServices, origin_hash: str, failures: _Failures) -> Response:
    try:
        note = needs.newest(origin_hash)
    except AnswerableError as error:
        return _refusal(error, failures)
    if note is None:
        return _said(404, "no checkpoint of such a log was cosigned here")
    return Response(note, status_code=200, headers={"content-type": _TEXT, "cache-control": "no-cache"})


def _refusal(error: AnswerableError, failures: _Failures) -> Response:
    match error:
        case Malformed():
            return _said(400, error.message)
        case Refused():
            return _said(404, error.message)
        case Unverified():
            return _said(422 if error.step.startswith("consistency.") else 403, error.message)
        case Unavailable():
            failures.log(error)
            return _said(503, f"{error.code}: {error.message}")
        case Broken() | _:
            failures.log(error)
            return _said(500, error.message)


def _said(status: int, message: str) -> Response:
    return Response(f"{message}\n", status_code=status, headers={"content-type": _TEXT})
