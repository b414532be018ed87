"""Names of leases whose tokens may be alive, in a file: servers of OAuth keep none, and a killed process takes its
tokens with it. So the next one can say what may still live and until when, though nobody has it any more.

A line a change, `NAME UNTIL`, the last one of a name counts, 0 is gone. No token is in it. What comes to be is on disk
before the server is asked; what ended need not be, as more is then said to live than does.
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
"""Past it, and where most of them are of no more use, the file is written anew."""
FILE_BYTES_MAX: Final = 64_000_000
UNTIL_MAX: Final = 2**53


class OutstandingTokens:
    """path: None keeps nothing, and then nothing is known of what earlier processes left. For one process at a time, as
    brokers are. Raises Unavailable (`lease.target`)."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._turn = anyio.Lock()
        self._until: dict[LeaseName, int] | None = None
        self._lines = 0

    async def begun(self, name: LeaseName, until: int) -> None:
        """Until then, at the latest, a token of this name may be alive. Durable on return."""
        await self._note(name, until, durable=True)

    async def gone(self, name: LeaseName) -> None:
        """None of this name is alive."""
        await self._note(name, 0, durable=False)

    async def left(self, now: int) -> dict[LeaseName, int]:
        """Every name that may be alive, and until when."""
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
                f"the file {shown(self._path.name)} is not one that this broker wrote: move it away"
            ) from None
        return found

    def _fault(self, error: OSError) -> Unavailable:
        assert self._path is not None  # noqa: S101 - only a file fails
        why = (error.strerror or "unknown error").lower()
        return LEASE_TARGET(f"the names of tokens cannot be kept in {shown(self._path.name)}: {why}")


def _read(path: Path) -> tuple[dict[LeaseName, int], int]:
    """What a kill cut off in the middle of a line was not durable yet, so that no server was asked."""
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
    # Whatever was half written goes, so that the next line begins a line.
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
