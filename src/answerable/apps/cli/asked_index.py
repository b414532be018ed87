"""Ask the running server by the index that it keeps, and say what its answer leaves out."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from answerable.api.search_answers import ShardReach
    from answerable.apps.cli.command import Shell
    from answerable.apps.cli.terminal import Terminal
    from answerable.client.transport import Transport
    from answerable.wiring.joined_index import LogIndex
    from answerable.wiring.ledger_search import SearchPlaces

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


def asked_server(shell: Shell, ask: Callable[[Transport], T]) -> T | None:
    """Return what the running server answers; None if there is no server, or it keeps no index."""
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


def places_asked(
    shell: Shell, ledger: Path | None, keys: Path | None, index: Path | None
) -> tuple[SearchPlaces, dict[str, str]]:
    """Return whose files are read, a copy's or those of this data directory, and the shards that are left out. Raises
    as `own_places`."""
    from answerable.wiring.ledger_search import own_places, places_of_copy, shards_elsewhere

    if ledger is not None:
        return places_of_copy(ledger, keys, index), {}
    settings = shell.settings()
    return own_places(settings), shards_elsewhere(settings)


@contextmanager
def files_asked(
    shell: Shell, ledger: Path | None, keys: Path | None, index: Path | None, seen: Path | None = None
) -> Iterator[LogIndex]:
    """Return what reads the files of a copy, or those of this data directory with all shards. seen: accounts that were
    seen in logs, beside a copy. Raises as `own_places` and `places_of_copy`, each question as `searching`."""
    from answerable.wiring.joined_index import FilesIndex, JoinedIndex, other_indexes
    from answerable.wiring.ledger_search import own_places, places_of_copy

    with shell.terminal.progress("indexing") as told:
        if ledger is not None:
            yield FilesIndex(places_of_copy(ledger, keys, index, seen), progress=told)
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
