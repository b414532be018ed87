"""Port: the search index, a projection of one log that can be deleted and rebuilt at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from answerable.core.ledger.projected import Position
    from answerable.core.search.accounts import AccountUse
    from answerable.core.search.facts import Ended, Facts
    from answerable.core.search.query import Cursor, Query


TALLIED: Final = frozenset(
    {
        "agent",
        "instance",
        "mandate",
        "person",
        "use-case",
        "capability",
        "server",
        "target",
        "rule",
        "code",
        "approval",
        "outcome",
        "kind",
        "key",
        "week",
    }
)
"""What entries are counted by. `week`: begins on Monday, UTC, as Unix milliseconds."""
WEEK: Final = 604_800_000
MONDAY: Final = 345_600_000
"""Milliseconds from the first of January 1970 to a Monday."""


class Candidate(NamedTuple):
    """An entry that may match: the index compares short digests, so whoever asks opens the entry. ended: the entry that
    says how the intent ended; None where there is none."""

    at: int
    entry: int
    ended: int | None


class Reach(NamedTuple):
    """Up to where the index is complete. at: time of the last entry, Unix milliseconds. happened: whether anything
    beside the log's own beginning and openings was recorded."""

    entries: int
    at: int
    happened: bool


class Tally(NamedTuple):
    """How many entries have the same values. values: of the fields that were asked for, in that order; empty for none.
    newest: index of the last of them."""

    values: tuple[str, ...]
    entries: int
    first_at: int
    last_at: int
    newest: int


class SearchIndex(Protocol):
    """Promises: only what `apply` was given is found, and all of it; a batch and its position are applied together, and
    applying an entry twice changes nothing; values of sealed fields are stored as keyed digests only, and what `forget`
    names leaves no byte in any file.

    Raises only Unavailable (`search.*`).
    """

    def position(self) -> Position:
        """Return up to which entry the log was applied."""
        ...

    def reach(self) -> Reach:
        """Return up to where the index is complete."""
        ...

    def apply(self, batch: Sequence[Facts | Ended], before: Position, after: Position, *, at: int) -> bool:
        """Write the facts of entries in ledger order, and advance the position from `before` to `after`.

        at: time of the last entry. Return False, and leave the position, where it is not at `before`: another process
        was here.
        """
        ...

    def subjects(self) -> Iterable[str]:
        """Return the ids of the keys, hex, of all data subjects of whom the index contains anything sealed."""
        ...

    def forget(self, subjects: Iterable[str]) -> None:
        """Erase what the index contains of sealed fields of these subjects."""
        ...

    def candidates(
        self, query: Query, after: Cursor | None, *, oldest_first: bool = False
    ) -> Iterator[Candidate]:
        """Yield the entries that may match, newest first unless asked otherwise, from after a cursor on. query: as
        `resolved` returns it."""
        ...

    def tallies(self, query: Query, fields: Sequence[str]) -> Iterable[Tally]:
        """Count the entries that may match, by the first values of these fields. query: as `resolved` returns it.

        fields: of `TALLIED`. Sealed values are compared by their digests alone. Equal values may come several times.
        """
        ...

    def account_uses(self, *, target: str = "", name: str = "") -> Iterable[AccountUse]:
        """Count the actions whose lease had an account, by account, agent and person. A preview is none, but
        its account counts.

        target, name: of those alone; empty for any. Equal values may come several times.
        """
        ...

    def corrected(self, intent: int) -> Sequence[int]:
        """Return the entries that said how an intent ended before a later one corrected them."""
        ...

    def names(self, beginning: str) -> Sequence[str]:
        """Return the names from leaves that begin with this text, but for ids of actions and their own leases."""
        ...

    def pseudonyms(self, name: str) -> Sequence[str]:
        """Return the pseudonyms of a person in this log."""
        ...

    def approvers(self, approval: str) -> Sequence[str]:
        """Return the pseudonyms of the people who answered an approval."""
        ...

    def accounts(self, lease: str) -> Sequence[str]:
        """Return the accounts at targets that a lease had."""
        ...

    def giver(self, mandate: str) -> int | None:
        """Return the first entry whose leaf names the principal of a mandate; None where there is none."""
        ...

    def close(self) -> None:
        """Close the files. Idempotent."""
        ...
