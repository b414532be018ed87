"""Answer searches as an ASGI application, in the process that alone reads the ledger for questions.

Only processes of this user and of root are answered, by the uid that the kernel reports for the connection. Questions
are answered one after another; when too many wait, further ones are turned away. One about all shards, which waits for
other processes, does not hold up those of other shards about this log: else two processes would wait for each other.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio
import msgspec
from anyio import to_thread
from starlette.applications import Starlette
from starlette.responses import Response

from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, EXCHANGE_EXTENSION, Channel
from answerable.errors import AnswerableError, Broken
from answerable.errors.codes.search import SEARCH_BUSY, SEARCH_FAILED, SEARCH_PEER
from answerable.errors.codes.services import REQUEST_BODY
from answerable.ports.search_process import REACH_PATH, A, Q, QuestionKind
from answerable.wiring.guarded_request import body_within
from answerable.wiring.plain_route import PlainRoute
from answerable.wiring.problem_details import PROBLEM_MEDIA_TYPE, problem_details

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from answerable.ports.search_process import IndexReach

WAITING_MAX: Final = 32
"""Questions that are answered or wait at a time."""
BODY_SECONDS_MAX: Final = 5.0

_log: Final = logging.getLogger(__name__)
_STATUSES: Final = {SEARCH_PEER.id: 403}


class Answering(NamedTuple):
    """What answers one kind of question; made by `answering`."""

    kind: QuestionKind[Any, Any]
    answer: Callable[[Any], object]


def answering(kind: QuestionKind[Q, A], answer: Callable[[Q], A]) -> Answering:
    """Return what answers a kind of question. answer: blocks."""
    return Answering(kind, answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchServices:
    """The dependencies. reach: blocks. uids: users whose processes are answered."""

    answers: Sequence[Answering]
    reach: Callable[[], IndexReach]
    uids: frozenset[int]


def search_app(needs: SearchServices) -> Starlette:
    """Return the application. Every request gets a response; no exception escapes."""
    waiting = 0
    turns = {is_whole: anyio.CapacityLimiter(1) for is_whole in (True, False)}

    async def replied(one: Answering, request: Request) -> bytes:
        nonlocal waiting
        body = await body_within(request, bytes_max=one.kind.bytes_max, seconds_max=BODY_SECONDS_MAX)
        try:
            question = one.kind.read_question(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            raise REQUEST_BODY(f"the question cannot be read: {str(fault)[:200].lower()}") from None
        if waiting >= WAITING_MAX:
            raise SEARCH_BUSY()
        waiting += 1
        try:
            with anyio.CancelScope() as present:
                _tell_left(request, present.cancel)
                turn = turns[question.within == "all"]
                return msgspec.json.encode(await to_thread.run_sync(one.answer, question, limiter=turn))
        finally:
            waiting -= 1
        return b""

    async def reach(_request: Request) -> bytes:
        return msgspec.json.encode(await to_thread.run_sync(needs.reach))

    routes = [
        *(
            PlainRoute(one.kind.path, _endpoint(partial(replied, one), needs.uids), method="POST")
            for one in needs.answers
        ),
        PlainRoute(REACH_PATH, _endpoint(reach, needs.uids)),
    ]
    return Starlette(routes=routes)


def _endpoint(
    run: Callable[[Request], Awaitable[bytes]], uids: frozenset[int]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            _check_peer(request, uids)
            return Response(await run(request), media_type="application/json")
        except AnswerableError as error:
            if isinstance(error, Broken):
                _log.error("%s: %s", error.code, error.message)
            return _problem(error)
        except Exception:
            _log.exception("a search failed")
            return _problem(SEARCH_FAILED())

    return endpoint


def _tell_left(request: Request, tell: Callable[[], object]) -> None:
    """Have `tell` called if the caller leaves, where the server tells that: its question then takes no turn any more.
    One that has its turn goes on to its end."""
    exchange = (request.scope.get("extensions") or {}).get(EXCHANGE_EXTENSION)
    if exchange is not None:
        exchange.when_left(tell)


def _check_peer(request: Request, uids: frozenset[int]) -> None:
    """Raises Unverified (`search.peer`)."""
    channel = (request.scope.get("extensions") or {}).get(CHANNEL_EXTENSION)
    uid = channel.uid if isinstance(channel, Channel) else None
    if uid not in uids:
        _log.warning("a process of user %s was turned away from the search index", uid)
        raise SEARCH_PEER(f"user {uid} may not search here")


def _problem(error: AnswerableError) -> Response:
    status, body = problem_details(error, _STATUSES)
    return Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM_MEDIA_TYPE)
