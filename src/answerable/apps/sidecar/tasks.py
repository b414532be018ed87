"""Tasks of an agent, by name: the sidecar holds the tokens and chains of hops, and the agent knows only the names.

GET /tasks               names, with mandate, scopes and end
POST /tasks              {name, mandate}: a token for a mandate of its own; {name, delegation}: a received chain, or
                         {name, message} and {name, headers}: the A2A message, or the broker's headers, that carried it
DELETE /tasks/NAME       removes it
POST /delegations        {task, to: {agent, key}, scopes, constraints, seconds}: a narrower hop for another agent

Laws: the instance's key signs only hops that `sign_hop` accepts and never bytes of the agent's choice; a received chain
is stored and sent on only if its last hop is bound to this key. A delegated chain is returned to the agent as text:
only the holder of the key that it names can use it.

Under a mandate of its own an agent acts by its key alone, which is proved with every message: the token for that
mandate only serves for delegation, and there is none to steal. Under a received delegation the agent acts with tokens
that the sidecar obtains for it, each as short-lived as the tier requires.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from answerable.core.canonical import Limits, parse
from answerable.core.identity.keys.keys import public_key
from answerable.core.identity.names.principal import agent_id
from answerable.core.identity.proof.http_signature import DELEGATION_HEADER, MANDATE_HEADER
from answerable.core.mandate.constraint import Constraint, from_wire
from answerable.core.mandate.delegation_chain import OFFLINE_SECONDS_MAX, split_chain
from answerable.core.mandate.delegation_terms import SINGLE_USE
from answerable.core.mandate.hop_token import read_hop, read_raw
from answerable.errors import AnswerableError, Malformed, Refused, Unavailable, Unverified, shown
from answerable.errors.codes.mandate import DELEGATION_MISSING
from answerable.errors.codes.services import (
    SIDECAR_DELEGATION,
    SIDECAR_FIELD,
    SIDECAR_MEMBERS,
    SIDECAR_PATH,
    SIDECAR_TASK,
    SIDECAR_TASK_NAME,
    SIDECAR_TASKS,
)
from answerable.sdk.delegation import Narrowing, Receiver, token_for, token_to_act
from answerable.sdk.delegation_transport import chain_in_a2a, chain_in_fields

if TYPE_CHECKING:
    import httpx2

    from answerable.apps.sidecar.http_server import HttpRequest, Reply
    from answerable.apps.sidecar.identity import Identity
    from answerable.core.canonical import JSONValue
    from answerable.core.mandate.hop_token import UnverifiedHop

TASK_FIELD: Final = "answerable-task"
TASKS_MAX: Final = 64
"""Limit for one handle."""
BODY_BYTES_MAX: Final = 262_144
LIST_MAX: Final = 512
RENEW_SECONDS_BEFORE_END: Final = 60.0
MANDATE_CHARS_MAX: Final = 256
ACTING_SECONDS_SPARE: Final = 5.0
"""A token is not used any more this long before its end, because the message takes time to arrive."""
RETRY_SECONDS: Final = 10.0
"""How long the chain itself is used after the token service refused a token to act with."""

_ORIGINS: Final = ("mandate", "delegation", "message", "headers")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")
_LIMITS: Final = Limits(size_bytes_max=BODY_BYTES_MAX)
_ACTING: Final = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})


@dataclass(slots=True)
class _Task:
    """One task. mandate: from which the token is obtained again when it ends; empty for a received delegation.

    acting: the chain to act with, valid until `until` on the monotonic clock; empty for none yet.
    """

    chain: str
    leaf: UnverifiedHop
    mandate: str
    acting: str = ""
    until: float = 0.0


class Tasks:
    """Tasks of one identity. Every method that is not a predicate raises the error family."""

    def __init__(self, client: httpx2.AsyncClient, base: str, identity: Identity) -> None:
        self._client = client
        self._base = base
        self._identity = identity
        self._tasks: dict[str, _Task] = {}
        self._renewing = anyio.Lock()

    def serves(self, request: HttpRequest) -> bool:
        """Whether a request is about tasks, and not an MCP message."""
        target = request.target
        return target in ("/tasks", "/delegations") or target.startswith("/tasks/")

    async def answer(self, request: HttpRequest, reply: Reply) -> None:
        """Answer a request about tasks. Raises nothing of the error family."""
        try:
            status, body = await self._answered(request)
        except AnswerableError as error:
            await reply.json(status_of(error), {"code": error.code, "detail": error.message})
            return
        await reply.json(status, body)

    async def fields(self, request: HttpRequest) -> dict[str, str]:
        """Return the header fields under which a message is sent on: none if it names no task and has no chain.

        Raises Malformed (`sidecar.field`, `delegation.*`), Refused (`sidecar.task`, `sidecar.delegation`, `token.*`),
        Unavailable.
        """
        named, shown_chain = request.values(TASK_FIELD), request.values(DELEGATION_HEADER)
        if len(named) + len(shown_chain) > 1:
            raise SIDECAR_FIELD(f"expected one task in `{TASK_FIELD}` or one chain in `{DELEGATION_HEADER}`")
        if not named and not shown_chain:
            return {}
        if named and (mandate := self._found(named[0]).mandate):
            if request.values(MANDATE_HEADER) not in ([], [mandate]):
                raise SIDECAR_FIELD(
                    f"task {shown(named[0])} has another mandate than `{MANDATE_HEADER}` names"
                )
            return {MANDATE_HEADER: mandate}
        chain = await self._to_act(named[0], request) if named else shown_chain[0]
        if shown_chain:
            self._own(chain)
        fields = {DELEGATION_HEADER: chain}
        mission = read_hop(split_chain(chain)[0]).mission
        if mission is not None and not request.values(MANDATE_HEADER):
            # Otherwise the sidecar's default mandate would be taken for the mandate of the chain.
            fields[MANDATE_HEADER] = mission.id
        return fields

    async def _answered(self, request: HttpRequest) -> tuple[int, dict[str, JSONValue]]:
        match request.method, request.target:
            case "GET", "/tasks":
                return 200, {"tasks": [_told(name, one) for name, one in sorted(self._tasks.items())]}
            case "POST", "/tasks":
                return 201, await self._add(_object(request.body, "name", *_ORIGINS))
            case "POST", "/delegations":
                members = ("task", "to", "scopes", "constraints", "seconds")
                return 201, await self._hand_on(_object(request.body, *members))
            case "DELETE", target if target.startswith("/tasks/"):
                name = target.removeprefix("/tasks/")
                self._found(name)
                del self._tasks[name]
                return 200, {"forgotten": name}
        raise SIDECAR_PATH(
            f"{shown(request.method, 16)} {shown(request.target)} is not served: GET and POST /tasks, DELETE "
            "/tasks/NAME, POST /delegations"
        )

    async def _add(self, body: dict[str, JSONValue]) -> dict[str, JSONValue]:
        name = _text(body, "name", 63)
        if not _NAME.fullmatch(name):
            raise SIDECAR_TASK_NAME(
                f"{shown(name)} is not a task name: use lower-case letters, digits, `.`, `_` and `-`"
            )
        if sum(origin in body for origin in _ORIGINS) != 1:
            raise SIDECAR_MEMBERS(
                "give one source of the task: `mandate`, `delegation`, A2A `message` or its `headers`"
            )
        if name not in self._tasks and len(self._tasks) >= TASKS_MAX:
            raise SIDECAR_TASKS(f"a handle has at most {TASKS_MAX} tasks: delete one")
        if "mandate" in body:
            task = await self._from_mandate(_text(body, "mandate", MANDATE_CHARS_MAX))
        else:
            chain = _handed(body)
            task = _Task(chain, self._own(chain), "")
        self._tasks[name] = task
        return _told(name, task)

    async def _from_mandate(self, mandate: str) -> _Task:
        chain = await token_for(self._client, self._base, mandate=mandate, auth=self._identity.auth)
        return _Task(chain, self._own(chain), mandate)

    async def _hand_on(self, body: dict[str, JSONValue]) -> dict[str, JSONValue]:
        to = body.get("to")
        if not isinstance(to, dict) or to.keys() != {"agent", "key"} or not isinstance(to["key"], dict):
            raise SIDECAR_MEMBERS(
                "`to` must have the receiver's registered name in `agent` and its public JWK in `key`"
            )
        receiver = Receiver(agent=agent_id(_text(to, "agent", 63)), key=public_key(to["key"]))
        seconds = body.get("seconds", OFFLINE_SECONDS_MAX)
        if type(seconds) is not int:
            raise SIDECAR_MEMBERS("`seconds` must be a whole number")
        narrowing = Narrowing(scopes=_scopes(body), constraints=_constraints(body), seconds=seconds)
        chain = await self._chain(_text(body, "task", 63))
        handed = self._identity.hand_on(chain, receiver, narrowing)
        leaf = read_hop(split_chain(handed)[-1])
        return {
            "delegation": handed,
            "id": leaf.jti,
            "scopes": list(leaf.authority.scopes),
            "expires_at": leaf.expires_at // 1000,
        }

    async def _chain(self, name: str) -> str:
        """Return the chain of a task by name; one from a mandate is obtained again shortly before it ends."""
        task = self._found(name)
        if not task.mandate:
            # A chain bound to a key that was replaced since is useless.
            self._own(task.chain)
        if not task.mandate or not self._is_stale(task):
            return task.chain
        async with self._renewing:
            task = self._found(name)
            if self._is_stale(task):
                task = self._tasks[name] = await self._from_mandate(task.mandate)
        return task.chain

    async def _to_act(self, name: str, request: HttpRequest) -> str:
        """Return the chain under which this message is sent on. Only actions need a token to act with: a stream that
        stays open, and lists, use the longer-lived chain."""
        task = self._found(name)
        # A chain bound to a key that was replaced since is useless.
        self._own(task.chain)
        if not _acts(request):
            return task.chain
        acting = task.acting
        if not acting or time.monotonic() >= task.until:
            try:
                acting = await token_to_act(
                    self._client, self._base, chain=task.chain, auth=self._identity.auth
                )
                task.until = time.monotonic() + _seconds_left(acting) - ACTING_SECONDS_SPARE
            except Refused:
                # Use the chain itself: the gateway decides whether it may still act, and says why not.
                acting, task.until = task.chain, time.monotonic() + RETRY_SECONDS
        if read_raw(split_chain(acting)[-1]).claims.get(SINGLE_USE) is not True:
            task.acting = acting
        return acting

    def _is_stale(self, task: _Task) -> bool:
        """Whether the task's token ends soon, or is bound to a key that this identity no longer has."""
        return _ends_soon(task) or task.leaf.confirmation.thumbprint != self._identity.thumbprint

    def _found(self, name: str) -> _Task:
        task = self._tasks.get(name)
        if task is None:
            raise SIDECAR_TASK(f"there is no task {shown(name)}: create it with POST /tasks")
        return task

    def _own(self, chain: str) -> UnverifiedHop:
        """Return the last hop of a chain, which must be bound to this instance's key. The gateway checks everything
        else."""
        leaf = read_hop(split_chain(chain)[-1])
        if leaf.confirmation.thumbprint != self._identity.thumbprint:
            raise SIDECAR_DELEGATION(
                f"the delegation is for agent {shown(leaf.agent, 60)} and another key than this instance's"
            )
        return leaf


def status_of(error: AnswerableError) -> int:
    """Return the HTTP status with which a handle reports the error."""
    return {Refused: 403, Unverified: 403, Unavailable: 503}.get(type(error), 400)


def _told(name: str, task: _Task) -> dict[str, JSONValue]:
    """Return a task as the agent may see it: without its tokens."""
    leaf = task.leaf
    return {
        "name": name,
        "mandate": leaf.mission.id if leaf.mission is not None else "",
        "depth": leaf.depth,
        "scopes": list(leaf.authority.scopes),
        "expires_at": leaf.expires_at // 1000,
    }


def _acts(request: HttpRequest) -> bool:
    """Whether a message asks for a governed action. An unreadable message is left for the gateway to refuse."""
    if request.method != "POST":
        return False
    try:
        message = parse(request.body, limits=_LIMITS)
    except Malformed:
        return False
    return isinstance(message, dict) and message.get("method") in _ACTING


def _seconds_left(chain: str) -> float:
    return read_hop(split_chain(chain)[-1]).expires_at / 1000 - time.time()


def _ends_soon(task: _Task) -> bool:
    return task.leaf.expires_at / 1000 - time.time() < RENEW_SECONDS_BEFORE_END


def _object(body: bytes, *known: str) -> dict[str, JSONValue]:
    value = parse(body, limits=_LIMITS)
    if not isinstance(value, dict):
        raise SIDECAR_MEMBERS("the body must be a JSON object")
    unknown = [name for name in value if name not in known]
    if unknown:
        raise SIDECAR_MEMBERS(f"{shown(unknown[0], 40)} is not known here: expected {', '.join(known)}")
    return value


def _text(body: dict[str, Any], name: str, chars_max: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= chars_max:
        raise SIDECAR_MEMBERS(f"`{name}` must be text of 1 to {chars_max} characters")
    return value


def _handed(body: dict[str, JSONValue]) -> str:
    """Return the chain that a task comes from: given directly, or in the message that carried it. A message without a
    chain is refused: its sender left the chain out, and a task without one would have no authority."""
    if "delegation" in body:
        return _text(body, "delegation", BODY_BYTES_MAX)
    origin = "message" if "message" in body else "headers"
    given = body[origin]
    if not isinstance(given, dict):
        raise SIDECAR_MEMBERS(f"`{origin}` must be a JSON object")
    if origin == "headers":
        chain = chain_in_fields(given)
    else:
        metadata, extensions = given.get("metadata", {}), given.get("extensions", [])
        if not isinstance(metadata, dict) or not isinstance(extensions, list):
            raise SIDECAR_MEMBERS("`metadata` of a message must be an object, its `extensions` a list")
        chain = chain_in_a2a(metadata, [one for one in extensions if isinstance(one, str)])
    if not chain:
        raise DELEGATION_MISSING(f"the {origin} contain no delegation chain")
    return chain


def _scopes(body: dict[str, JSONValue]) -> tuple[str, ...]:
    found = body.get("scopes", [])
    if not isinstance(found, list) or len(found) > LIST_MAX:
        raise SIDECAR_MEMBERS(f"`scopes` must be a list of at most {LIST_MAX} texts")
    texts = tuple(one for one in found if isinstance(one, str))
    # An empty list could mean nothing, and must not be read as everything.
    if len(texts) < len(found) or ("scopes" in body and not texts):
        raise SIDECAR_MEMBERS("`scopes` must not be empty; leave it out to delegate all scopes")
    return texts


def _constraints(body: dict[str, JSONValue]) -> tuple[Constraint, ...]:
    found = body.get("constraints", [])
    if not isinstance(found, list) or len(found) > LIST_MAX:
        raise SIDECAR_MEMBERS(f"`constraints` must be a list of at most {LIST_MAX} objects")
    return tuple(from_wire(one) for one in found)
