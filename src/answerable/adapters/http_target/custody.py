"""Store the single OAuth refresh token of a target in a file and rotate it safely across processes and crashes.

Laws: only one exchange runs at a time, over all processes; the server's next token is on disk before anything from its
answer is used; a token that the server refused is not sent again.

    ready ──► asked ──► ready (the next token, or the same if the server does not rotate)
                └─────► refused (used by another holder, revoked or expired: a person must consent again)
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec

from answerable.adapters.http_target.grant import error_in, token_in
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.plain_file import open_plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

FILE_BYTES_MAX: Final = 32_768
LOCK_SECONDS: Final = 0.02


class _Held(msgspec.Struct, forbid_unknown_fields=True):
    """The content of the file. state: `ready`, `asked` or `refused`, as in the diagram of the module."""

    refresh_token: str
    state: str = "ready"

    def __repr__(self) -> str:
        return "_Held()"


class RefreshCustody:
    """Custody of one refresh token. path: file with mode 0600 of the broker's user; initially it may hold the bare
    token. Raises Unavailable (`lease.target`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = anyio.Lock()
        self._unsaved: _Held | None = None

    async def exchanged(
        self, trade: Callable[[str], Awaitable[tuple[int, bytes]]], *, seconds_max: float
    ) -> tuple[int, bytes]:
        """Exchange the token at the server by `trade`, and store the next token. The caller must shield the call from
        cancellation. Raises what `trade` raises."""
        async with self._alone(seconds_max):
            held = self._unsaved or self._read()
            if held.state == "refused":
                raise self._fault("the server refused the refresh token: somebody has to consent anew")
            was_asked = held.state == "asked"
            # A crash after this line: the next start sends the same token again. If the server has rotated it, the
            # server refuses, because its next token was lost with this process.
            await self._write(_Held(held.refresh_token, "asked"))
            try:
                status, body = await trade(held.refresh_token)
            except Unavailable as failed:
                if failed.effect == "none":
                    await self._write(_Held(held.refresh_token, held.state))
                raise
            if error_in(body) == "invalid_grant":
                await self._write(_Held(held.refresh_token, "refused"))
                raise self._fault(
                    "the server takes the refresh token no more: "
                    + (
                        "an exchange before was cut off, and what came of it is lost"
                        if was_asked
                        else "it was used elsewhere, revoked, or has expired; look who had it"
                    )
                )
            # A crash before this line loses the next token; a crash after it loses nothing.
            await self._write(_Held(token_in(body, "refresh_token") or held.refresh_token))
            return status, body

    @asynccontextmanager
    async def _alone(self, seconds_max: float) -> AsyncIterator[None]:
        async with self._turn:
            try:
                descriptor = os.open(
                    f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
                )
            except OSError as error:
                raise self._fault((error.strerror or "unknown error").lower()) from None
            try:
                try:
                    with anyio.fail_after(seconds_max):
                        # Other processes hold it: there is no event to wait for.
                        while not _locked(descriptor):  # noqa: ASYNC110
                            await anyio.sleep(LOCK_SECONDS)
                except TimeoutError:
                    raise self._fault("another process has it in hand") from None
                yield
            finally:
                os.close(descriptor)

    def _read(self) -> _Held:
        try:
            with open_plain(self._path, follow=False) as opened:
                status = os.fstat(opened.fileno())
                content = opened.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            raise self._fault((error.strerror or "unknown error").lower()) from None
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise self._fault("its file must be the broker's own, with mode 0600")
        try:
            held = (
                msgspec.json.decode(content, type=_Held)
                if content.lstrip().startswith(b"{")
                else _Held(content.decode("ascii").strip())
            )
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._fault("its file is none of ours") from None
        if not held.refresh_token or len(content) > FILE_BYTES_MAX or not held.refresh_token.isprintable():
            raise self._fault("its file holds no token")
        return held

    async def _write(self, held: _Held) -> None:
        """Replace the file durably. If writing fails, the state stays in memory and the next exchange uses it first."""
        self._unsaved = held
        try:
            await anyio.to_thread.run_sync(_replace, self._path, msgspec.json.encode(held))
        except OSError as error:
            raise self._fault(
                f"it cannot be written: {(error.strerror or 'unknown error').lower()}", effect_unknown=True
            ) from None
        self._unsaved = None

    def _fault(self, why: str, *, effect_unknown: bool = False) -> Unavailable:
        return LEASE_TARGET(
            f"the refresh token in {shown(self._path.name)} cannot be used: {why}",
            effect="unknown" if effect_unknown else "none",
        )


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.next")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
