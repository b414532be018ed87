"""The tools `read` and `write`, each call under the account of its lease."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import anyio

from answerable.targets import (
    TARGET_ARGUMENTS,
    Credential,
    JSONValue,
    Performed,
    Progress,
    check_names,
    connection_lost,
    login_refused,
    no_answer_in_time,
    not_reached,
    refusal,
    shown,
    success,
)
from answerable_notes.wire import FAILURES, Line, Place, SaysNo, logged_in

WHAT: Final = "the note service"
TOOLS: Final = {"read": ("note",), "write": ("note", "text")}
TEXT_CHARS_MAX: Final = 10_000


class NotesTarget:
    """Implements BrokeredTarget. seconds_max: for the login."""

    def __init__(self, place: Place, *, seconds_max: float) -> None:
        self._place, self._seconds_max = place, seconds_max

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        return tuple(_tool(name) for name in TOOLS)

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[NotesSession]:
        password = credential.secret.reveal("password")
        async with AsyncExitStack() as closing:
            try:
                with anyio.fail_after(self._seconds_max):
                    line = await closing.enter_async_context(
                        logged_in(self._place, credential.account, password)
                    )
            except SaysNo:
                raise login_refused(WHAT) from None
            except (TimeoutError, *FAILURES):
                raise not_reached(WHAT) from None
            yield NotesSession(line, password)


class NotesSession:
    """Implements TargetSession."""

    def __init__(self, line: Line, password: str) -> None:
        self._line, self._password = line, password

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Send one request. The service has no log, so that the tag is not sent; the account names the lease."""
        check_names(tool, arguments, TOOLS)
        for name in TOOLS[tool]:
            value = arguments.get(name)
            if not isinstance(value, str) or not 0 < len(value) <= TEXT_CHARS_MAX:
                raise TARGET_ARGUMENTS(f"{shown(name)} is a text of 1 to {TEXT_CHARS_MAX} characters")
        session = (("notes_connection", self._line.name),)
        try:
            with anyio.fail_after(seconds_max):
                text = await self._line.ask(do=tool, **arguments)
        except SaysNo as no:
            # The agent does not get the password of its lease, whatever the service says.
            return Performed(result=refusal(str(no).replace(self._password, "…")), session=session)
        except TimeoutError:
            raise no_answer_in_time(WHAT, seconds_max) from None
        except FAILURES:
            raise connection_lost(WHAT, was_sent=True) from None
        told = str(text).replace(self._password, "…")
        return Performed(result=success({"text": told}, told), session=session)


def _tool(name: str) -> Mapping[str, JSONValue]:
    text: dict[str, JSONValue] = {"type": "string", "minLength": 1, "maxLength": TEXT_CHARS_MAX}
    reads = name == "read"
    return {
        "name": name,
        "title": f"{name.capitalize()} a note",
        "description": "A note is named FOLDER/TITLE, such as case-7/summary.",
        "inputSchema": {
            "type": "object",
            "properties": dict.fromkeys(TOOLS[name], text),
            "required": [*TOOLS[name]],
            "additionalProperties": False,
        },
        "annotations": {
            "readOnlyHint": reads,
            "destructiveHint": not reads,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }
