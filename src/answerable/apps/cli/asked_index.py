"""Ask the running server by the index that it keeps, and say what its answer leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.apps.cli.command import Shell
    from answerable.apps.cli.terminal import Terminal
    from answerable.client.transport import Transport
    from answerable.wiring.ledger_search import SearchPlaces

T = TypeVar("T")


class Partial(Protocol):
    """What every answer of an index says of itself."""

    @property
    def missing(self) -> int:
        """Later entries that the index does not have yet."""
        ...

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Shards whose logs are left out."""
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
    shell: Shell, ledger: Path | None, keys: Path | None, index: Path | None, seen: Path | None = None
) -> tuple[SearchPlaces, tuple[str, ...]]:
    """Return whose files are read, a copy's or those of this data directory, and the shards that are left out. seen:
    accounts that were seen in logs, beside a copy. Raises as `own_places` and `places_of_copy`."""
    from answerable.wiring.ledger_search import own_places, places_of_copy, shards_elsewhere

    if ledger is not None:
        return places_of_copy(ledger, keys, index, seen), ()
    settings = shell.settings()
    return own_places(settings), shards_elsewhere(settings)


def warn_partial(terminal: Terminal, answer: Partial) -> None:
    """Warn the user of what is not in an answer."""
    if answer.elsewhere:
        terminal.warn(
            f"not searched here: the logs of the shards {', '.join(answer.elsewhere)}; search with the settings of "
            "their process (--config), or their files with --ledger and --keys"
        )
    if answer.missing:
        terminal.warn(f"{answer.missing} later entries are not searched yet: search again soon")
