"""Call the control API: through the running server's Unix socket, or through the same application in this process."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar, cast

from answerable.client.transport import READ_SECONDS_MAX, WAIT_SECONDS_MAX
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified, shown
from answerable.errors.codes.services import (
    CONTROL_ANSWER,
    CONTROL_FORBIDDEN,
    CONTROL_NO_ANSWER,
    CONTROL_NO_DATA,
    CONTROL_NO_SOCKET,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from msgspec import Struct

    from answerable.core.canonical import JSONValue
    from answerable.errors import Effect
    from answerable.wiring.setting_tree import Settings

    ASGIApp: TypeAlias = Any
    Offline: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[ASGIApp]]
    Exchange: TypeAlias = Callable[..., "Response"]

Answer: TypeAlias = "dict[str, Any]"
T = TypeVar("T")


class Response(Protocol):
    """An HTTP response of the server, or of the application in this process."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def content(self) -> bytes:
        """The body, JSON."""
        ...


NEEDS_NO_ANSWER: Final = "`answerable panic` holds everything at once and needs no answer of a server"
CONNECT_SECONDS_MAX: Final = 5.0
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_ORIGIN: Final = "http://answerable"
STRANGE: Final = f"another program or release listens on its socket; {NEEDS_NO_ANSWER}"


class Control:
    """Client of the control API. Every method raises the error family as the server raised it."""

    def __init__(
        self, exchange: Exchange, *, is_server: bool = True, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """is_server: whether a server answers, and not this process. say: announces a long wait to the user."""
        self._exchange, self.is_server, self._say = exchange, is_server, say

    def answer_as(
        self,
        answer: type[T],
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Struct | None = None,
        seconds_max: float = READ_SECONDS_MAX,
    ) -> T:
        """Return the server's answer, of the type `answer`."""
        import msgspec

        given: dict[str, object] = {"params": query or {}}
        if method == "POST":
            given = {"json": {} if body is None else msgspec.to_builtins(body)}
        found = self._answer(method, path, timeout=seconds_max, **given)
        try:
            return msgspec.convert(found, answer)
        except msgspec.ValidationError as fault:
            missing = _MISSING.match(str(fault))
            told = f"has no `{missing[1]}`" if missing else f"is of another shape ({fault})".lower()
            raise CONTROL_ANSWER(f"the server's answer {told}: {STRANGE}") from None

    def get(self, path: str, **query: str) -> Answer:
        """Return one resource."""
        return self._answer("GET", path, params=query, timeout=READ_SECONDS_MAX)

    def get_soon(self, path: str, *, seconds_max: float, **query: str) -> Answer:
        """Return one resource, waiting at most `seconds_max`."""
        return self._answer("GET", path, params=query, timeout=seconds_max)

    def post(
        self, path: str, body: dict[str, JSONValue] | None = None, *, seconds_max: float = WAIT_SECONDS_MAX
    ) -> Answer:
        """Change something. seconds_max: how long to wait for the answer."""
        return self._answer("POST", path, json=body or {}, timeout=seconds_max)

    @contextmanager
    def _patience(self, seconds_max: float) -> Iterator[None]:
        """Announce to the user that the command still waits for the server, and which command needs no server."""
        said = (
            f"no answer of the server for {READ_SECONDS_MAX:g} s: still waiting, up to {seconds_max:g} s in all; "
            + NEEDS_NO_ANSWER
        )
        timer = threading.Timer(READ_SECONDS_MAX, self._say, (said,))
        timer.daemon = True
        if self.is_server and seconds_max > READ_SECONDS_MAX:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _answer(self, method: str, path: str, *, timeout: float, **given: Any) -> Answer:
        from answerable.apps.cli.control_socket import NoAnswerError

        try:
            with self._patience(timeout):
                response = self._exchange(method, path, timeout=timeout, **given)
        except NoAnswerError as error:
            effect: Effect = "unknown" if method == "POST" else "none"
            what = (
                f"no answer of the server within {timeout:g} s"
                if error.is_late
                else f"the server did not answer ({error.failure})"
            )
            known = (
                "look at the output of the server"
                if method == "GET"
                else "it may be done or not, so look before it is repeated"
            )
            raise CONTROL_NO_ANSWER(f"{what}: {known}; {NEEDS_NO_ANSWER}", effect=effect) from error
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            raise CONTROL_ANSWER(f"the server answered with something that is not JSON: {STRANGE}") from None
        if response.status_code == 200 and isinstance(value, dict):
            return cast("Answer", value)
        raise error_of(value)


@contextmanager
def connected(
    settings: Settings, offline: Offline, *, say: Callable[[str], None], creates: bool = False
) -> Iterator[Control]:
    """Open the control API of this data directory: the running server's, or else this process's, which is announced.

    creates: whether a data directory may be created. Raises Unavailable: `control.no_data`, `control.forbidden`.
    """
    with running(settings, say=say) as control:
        if control is not None:
            yield control
            return
    if not creates and not settings.data.is_dir():
        raise CONTROL_NO_DATA(
            f"there is no data directory {shown(settings.data)}: begin with `answerable apply` or `answerable up`, or "
            "name another with --data"
        )
    say(f"no server answers at {settings.control.socket}: working on {settings.data} directly")
    with ExitStack() as opened:
        try:
            control = opened.enter_context(_in_process(settings, offline))
        except Unavailable as error:
            if error.code != "ledger.locked":
                raise
            # A server may have started since the check: then use that server.
            found = opened.enter_context(running(settings, say=say))
            if found is None:
                raise CONTROL_NO_SOCKET(
                    f"{error.message}, and no server answers at the control socket "
                    f"{shown(settings.control.socket)}: end that process, or start it again if it is a server "
                    f"whose socket was removed; {NEEDS_NO_ANSWER}"
                ) from None
            control = found
        yield control


@contextmanager
def running(settings: Settings, *, say: Callable[[str], None] = lambda _: None) -> Iterator[Control | None]:
    """Open the control API of the server of this data directory; yields None when no server runs. Raises Unavailable,
    as `connected`."""
    if not _somebody_listens(settings.control.socket):
        yield None
        return
    from answerable.apps.cli.control_socket import ControlSocket

    yield Control(ControlSocket(settings.control.socket).request, say=say)


@contextmanager
def _in_process(settings: Settings, offline: Offline) -> Iterator[Control]:
    import httpx2
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(offline(settings)) as app:
        transport = httpx2.ASGITransport(app=_as_ourselves(app))
        client = httpx2.AsyncClient(transport=transport, base_url=_ORIGIN)

        def exchange(method: str, path: str, **given: Any) -> httpx2.Response:
            return portal.call(partial(client.request, method, path, **given))

        try:
            yield Control(exchange, is_server=False)
        finally:
            portal.call(client.aclose)


def _as_ourselves(app: ASGIApp) -> ASGIApp:
    """Wrap the application so that this process is the peer of its own calls."""
    peer = PeerCredentials(pid=os.getpid(), uid=os.geteuid(), gid=os.getegid())

    async def called(scope: Any, receive: Any, send: Any) -> None:
        extensions = {
            **scope.get("extensions", {}),
            CHANNEL_EXTENSION: Channel(connection=0, sequence=1, peer=peer),
        }
        await app({**scope, "extensions": extensions}, receive, send)

    return called


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_SECONDS_MAX)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False
        except PermissionError:
            raise CONTROL_FORBIDDEN(
                f"the control socket {shown(path)} belongs to another user: run this as that user"
            ) from None
        except OSError as error:
            raise CONTROL_NO_ANSWER(
                f"the control socket {shown(path)} does not answer: {(error.strerror or 'timed out').lower()}; "
                + NEEDS_NO_ANSWER
            ) from None
    return True


def error_of(problem: Any) -> AnswerableError:
    """Return the error that problem details (RFC 9457) describe."""
    if not isinstance(problem, dict):
        return _strange()
    code, message = str(problem.get("code", "control.answer")), str(problem.get("detail", "no detail"))
    match problem.get("branch"):
        case "malformed":
            return Malformed(message, code=code)
        case "unverified":
            return Unverified(message, code=code, step=str(problem.get("step", "")))
        case "refused":
            reasons = problem.get("reasons")
            told = tuple(str(reason) for reason in reasons) if isinstance(reasons, list) else ()
            index = problem.get("entry_index")
            return Refused(
                message, code=code, reasons=told, entry_index=index if type(index) is int else None
            )
        case "unavailable":
            effect: Effect = "unknown" if problem.get("effect") == "unknown" else "none"
            return Unavailable(message, code=code, port=str(problem.get("port", "")), effect=effect)
        case "broken":
            return Broken(message, code=code)
        case _:
            return _strange()


def _strange() -> Broken:
    return CONTROL_ANSWER(f"the server answered with something else than problem details: {STRANGE}")
