"""Perform agents' actions on Redis under a lease: three tools, each of which sends one command as a list of
arguments."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
from redis.exceptions import ResponseError

from answerable.adapters.redis_acl.commands import COMMANDS, PUBLISH, READING
from answerable.adapters.redis_acl.replies import as_json
from answerable.adapters.redis_acl.server import FAILURES, TooLong
from answerable.core.lease.credential import Performed
from answerable.errors import shown
from answerable.errors.codes.leases import TARGET_ARGUMENTS
from answerable.targets.failures import connection_lost, login_refused, no_answer_in_time, not_reached
from answerable.targets.results import refusal, success
from answerable.targets.tools import described_tool, hints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.adapters.redis_acl.server import Line, RedisServer
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.ports.upstream import Progress

ARGUMENTS_MAX: Final = 1_000
SENT_BYTES_MAX: Final = 1_048_576


class RedisTarget:
    """Implements `ports.brokered_target.BrokeredTarget`. result_bytes_max: of the answer to one command."""

    def __init__(
        self, server: RedisServer, *, result_bytes_max: int = 262_144, seconds_max: float = 10.0
    ) -> None:
        self._server = server
        self._result_bytes_max = result_bytes_max
        self._seconds_max = seconds_max

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        """Return the tools `read`, `command` and `publish`."""
        return TOOLS

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[RedisSession]:
        """Open a connection as the user of the lease."""
        try:
            with anyio.fail_after(self._seconds_max):
                line = await self._server.opened(credential.account, credential.secret.reveal("password"))
        except FAILURES as failed:
            is_refused = "invalid username-password" in str(failed)
            raise (login_refused if is_refused else not_reached)("redis") from None
        try:
            yield RedisSession(line, result_bytes_max=self._result_bytes_max)
        finally:
            line.drop()


class RedisSession:
    """Implements `ports.brokered_target.TargetSession`."""

    def __init__(self, line: Line, *, result_bytes_max: int) -> None:
        self._line = line
        self._result_bytes_max = result_bytes_max

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Send one command. The tag is not sent: the account identifies the lease, and Redis has no log for the tag."""
        command = _command(tool, arguments)
        session = (("redis_client", f"id={self._line.client_id} addr={self._line.local}"),)
        if not await self._line.is_good():
            raise connection_lost("redis", was_sent=False)
        try:
            with anyio.fail_after(seconds_max):
                (answer,) = await self._line.ask([command], bytes_max=self._result_bytes_max)
        except TooLong:
            return Performed(result=_cut(self._result_bytes_max), session=session)
        except TimeoutError:
            raise no_answer_in_time("redis", seconds_max) from None
        except FAILURES:
            raise connection_lost("redis", was_sent=True) from None
        if isinstance(answer, ResponseError):
            return Performed(result=refusal(str(answer)), session=session)
        return Performed(result=_result(as_json(answer)), session=session)


def _command(tool: str, arguments: Mapping[str, JSONValue]) -> list[str]:
    """Return the command as its list of arguments. Raises Refused (`target.arguments`)."""
    if tool == PUBLISH:
        found = [PUBLISH, arguments.get("channel"), arguments.get("message")]
        known = {"channel", "message"}
    elif tool in ("read", "command"):
        name, rest = arguments.get("command"), arguments.get("arguments")
        let = READING if tool == "read" else COMMANDS
        if not isinstance(name, str) or name not in let:
            raise TARGET_ARGUMENTS(f"tool {shown(tool)} has no command {shown(name, 40)}")
        if not isinstance(rest, list) or not 1 <= len(rest) <= ARGUMENTS_MAX:
            raise TARGET_ARGUMENTS(f"`arguments` must be a list of 1 to {ARGUMENTS_MAX} texts")
        found = [name, *rest]
        known = {"command", "arguments"}
    else:
        raise TARGET_ARGUMENTS(f"there is no tool {shown(tool)}: use `read`, `command` or `publish`")
    if extra := sorted(arguments.keys() - known):
        raise TARGET_ARGUMENTS(f"unknown argument {shown(extra[0])} of tool {shown(tool)}")
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) != len(found):
        raise TARGET_ARGUMENTS("each argument of a command must be text")
    if sum(len(one.encode("utf-8", "surrogatepass")) for one in texts) > SENT_BYTES_MAX:
        raise TARGET_ARGUMENTS(f"a command must have at most {SENT_BYTES_MAX} bytes")
    if any("\ud800" <= char <= "\udfff" for one in texts if not one.isascii() for char in one):
        raise TARGET_ARGUMENTS("an argument contains an unpaired surrogate")
    return texts


def _result(reply: JSONValue) -> dict[str, object]:
    text = reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False)
    return success({"reply": reply, "cut": False}, text)


def _cut(octets: int) -> dict[str, object]:
    told = f"the answer has more than {octets} bytes and was not read; the command was carried out. Ask for less."
    return success({"reply": None, "cut": True}, told)


def _commanded(names: frozenset[str]) -> dict[str, JSONValue]:
    return {
        "command": {"type": "string", "enum": [*sorted(names)], "description": "The command, in lower case."},
        "arguments": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": ARGUMENTS_MAX,
            "description": "Its arguments in order, each taken as it is; the key first for most commands.",
        },
    }


_COMMANDED: Final = ("command", "arguments")
TOOLS: Final = (
    described_tool(
        "read",
        "Read from Redis",
        "Send one command that changes nothing, such as get, hgetall or zrange, and return the server's answer.",
        _commanded(READING),
        *_COMMANDED,
        hints=hints(reads=True, repeats=True),
    ),
    described_tool(
        "command",
        "Change Redis",
        "Send one command, such as set, hset, lpush or del, and return the server's answer.",
        _commanded(COMMANDS),
        *_COMMANDED,
        hints=hints(destroys=True),
    ),
    described_tool(
        PUBLISH,
        "Publish on a Redis channel",
        "Send a message to whoever listens on a channel now; returns how many did. Nothing keeps it for later.",
        {"channel": {"type": "string"}, "message": {"type": "string"}},
        "channel",
        "message",
        hints=hints(),
    ),
)
