"""Ask the running server by the index that it keeps, or files by one that is made of them, and say what the answer
leaves out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from answerable.api.search_answers import ShardReach
    from answerable.apps.cli.command import Shell
    from answerable.apps.cli.terminal import Terminal
    from answerable.client.transport import Transport
    from answerable.wiring.log_index import LogIndex

T = TypeVar("T")


class Partial(Protocol):
    """What every answer of an index says of itself."""

    @property
    def missing(self) -> int:
        """Later entries that the index does not have yet."""
        ...

    @property
    def entries(self) -> int:
        """Entries up to which it is complete."""
        ...

    @property
    def complete_at(self) -> str | None:
        """Time of the last of them."""
        ...

    @property
    def shards(self) -> tuple[ShardReach, ...]:
        """The same of other shards."""
        ...

    @property
    def elsewhere(self) -> dict[str, str]:
        """Shards whose logs are left out, and why."""
        ...


@dataclass(frozen=True, slots=True)
class CopyAsked:
    """Whose files are asked: those of this data directory where `ledger` is None. seen: accounts that were seen in
    logs, beside a copy."""

    ledger: Path | None = None
    keys: Path | None = None
    index: Path | None = None
    seen: Path | None = None


def checked_copy(
    ledger: Path | None, keys: Path | None, index: Path | None, seen: Path | None = None
) -> CopyAsked:
    """Return what the options say. Raises Malformed (`cli.search`)."""
    from answerable.errors.codes.services import CLI_SEARCH

    if ledger is None and seen is not None:
        raise CLI_SEARCH("--seen is given with --ledger")
    if ledger is None and (keys is not None or index is not None):
        raise CLI_SEARCH()
    return CopyAsked(ledger, keys, index, seen)


def answered(
    shell: Shell, copy: CopyAsked, ask: Callable[[Transport], T], read: Callable[[LogIndex], T]
) -> T:
    """Return the answer of the running server; where there is none, or it keeps no index, and of a copy, that of the
    files. Raises as `own_places`, and as `ask` and `read`."""
    answer = _asked_server(shell, ask) if copy.ledger is None else None
    if answer is not None:
        return answer
    with _files(shell, copy) as files:
        return read(files)


def _asked_server(shell: Shell, ask: Callable[[Transport], T]) -> T | None:
    from answerable.apps.cli.control import running
    from answerable.errors import Unavailable
    from answerable.errors.codes.search import SEARCH_OFF

    with running(shell.settings(), say=shell.terminal.say) as control:
        if control is None:
            return None
        try:
            return ask(control)
        except Unavailable as failed:
            if failed.code != SEARCH_OFF.id:
                raise
            return None


@contextmanager
def _files(shell: Shell, copy: CopyAsked) -> Iterator[LogIndex]:
    """Return what reads the files of a copy, or those of this data directory with all shards."""
    from answerable.wiring.joined_index import JoinedIndex
    from answerable.wiring.ledger_search import own_places, places_of_copy
    from answerable.wiring.log_index import FilesIndex, other_indexes

    with shell.terminal.progress("indexing") as told:
        if copy.ledger is not None:
            yield FilesIndex(places_of_copy(copy.ledger, copy.keys, copy.index, copy.seen), progress=told)
            return
        settings = shell.settings()
        own = FilesIndex(own_places(settings), progress=told)
        yield JoinedIndex(own, settings.ledger.shard, partial(other_indexes, settings, progress=told))


def warn_partial(terminal: Terminal, answer: Partial) -> None:
    """Warn the user of what is not in an answer."""
    for shard, why in answer.elsewhere.items():
        terminal.warn(
            f"the log of shard {shard} is left out: {why}; ask again, or read its files with --ledger and --keys"
        )
    for shard, missing in [("", answer.missing), *((one.shard, one.missing) for one in answer.shards)]:
        if missing:
            of = f" of shard {shard}" if shard else ""
            terminal.warn(f"{missing} later entries{of} are not searched yet: search again soon")


def complete_told(answer: Partial) -> str:
    """Return up to where an answer is complete, in words."""
    own = _complete_told(answer.entries, answer.complete_at)
    return "; ".join(
        (own, *(f"of {one.shard} {_complete_told(one.entries, one.complete_at)}" for one in answer.shards))
    )


def _complete_told(entries: int, at: str | None) -> str:
    return f"complete up to entry {entries - 1}, {at}" if entries else "empty ledger"


def entry_told(shard: str, entry: int) -> str:
    """Return the address of an entry, as every command takes it."""
    return f"{shard}/{entry}" if shard else str(entry)
