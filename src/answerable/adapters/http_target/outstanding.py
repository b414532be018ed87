"""Record in a file which leases may still have live OAuth tokens: servers list no tokens, and a killed process loses
its tokens. After a restart, the broker can report which leases may be alive and until when.

Each line is a change, `NAME UNTIL`; the last line of a name counts, and 0 means ended. The file holds no tokens. A new
lease is on disk before the server is called. Ended leases need not be: the file then reports more leases than are
alive, never fewer.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from answerable.core.lease.name import checked_lease_name
from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.leases import LEASE_TARGET
from answerable.plain_file import read_plain

if TYPE_CHECKING:
    from answerable.core.lease.name import LeaseName

LINES_MAX: Final = 20_000
"""The file is rewritten when it has more lines than this and most of them are obsolete."""
FILE_BYTES_MAX: Final = 64_000_000
UNTIL_MAX: Final = 2**53


class OutstandingTokens:
    """The records of one target. path: None disables recording, and then nothing is known about earlier processes. Only
    one process may use a file at a time. Raises Unavailable (`lease.target`)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._turn = anyio.Lock()
        self._until: dict[LeaseName, int] | None = None
        self._lines = 0

    async def begun(self, name: LeaseName, until: int) -> None:
        """Record that a token of this lease may be alive until `until` (Unix milliseconds). Durable on return."""
        await self._note(name, until, durable=True)

    async def gone(self, name: LeaseName) -> None:
        """Record that no token of this lease is alive."""
        await self._note(name, 0, durable=False)

    async def left(self, now: int) -> dict[LeaseName, int]:
        """Return every lease that may be alive, with the time until which it may be."""
        async with self._turn:
            until = await self._opened(now)
            return {name: at for name, at in until.items() if at > now}

    async def _note(self, name: LeaseName, until: int, *, durable: bool) -> None:
        if self._path is None:
            return
        async with self._turn:
            known = await self._opened(0)
            if until:
                known[name] = until
            elif known.pop(name, None) is None:
                return
            try:
                await anyio.to_thread.run_sync(_append, self._path, f"{name} {until}\n", durable)
                self._lines += 1
                if self._lines > LINES_MAX and self._lines > 2 * len(known):
                    await anyio.to_thread.run_sync(_rewrite, self._path, dict(known))
                    self._lines = len(known)
            except OSError as error:
                raise self._fault(error) from None

    async def _opened(self, now: int) -> dict[LeaseName, int]:
        known = self._until
        if known is None:
            known = self._until = await self._loaded()
        for name in [name for name, until in known.items() if until <= now]:
            del known[name]
        return known

    async def _loaded(self) -> dict[LeaseName, int]:
        if self._path is None:
            return {}
        try:
            found, self._lines = await anyio.to_thread.run_sync(_read, self._path)
        except OSError as error:
            raise self._fault(error) from None
        except (Malformed, ValueError):
            raise LEASE_TARGET(
                f"the file {shown(self._path.name)} was not written by this broker: move it away"
            ) from None
        return found

    def _fault(self, error: OSError) -> Unavailable:
        assert self._path is not None  # noqa: S101 - only a file fails
        why = (error.strerror or "unknown error").lower()
        return LEASE_TARGET(f"the list of issued tokens cannot be written to {shown(self._path.name)}: {why}")


def _read(path: Path) -> tuple[dict[LeaseName, int], int]:
    """Read and rewrite the file. A last line that a kill cut off is dropped: it was not yet durable, so no server had
    been called."""
    try:
        content = read_plain(path, FILE_BYTES_MAX)
    except FileNotFoundError:
        return {}, 0
    *lines, _ = content.decode("ascii").split("\n")
    found: dict[LeaseName, int] = {}
    for line in lines:
        text, _, said = line.partition(" ")
        name, until = checked_lease_name(text), int(said)
        if not 0 <= until <= UNTIL_MAX:
            raise ValueError(until)
        if until:
            found[name] = until
        else:
            found.pop(name, None)
    # Removes a half-written line, so that the next append starts a new line.
    _rewrite(path, found)
    return found, len(found)


def _append(path: Path, line: str, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, line.encode())
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _rewrite(path: Path, known: dict[LeaseName, int]) -> None:
    draft = path.with_name(f".{path.name}.next")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as opened:
            opened.write("".join(f"{name} {until}\n" for name, until in known.items()).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
