"""Port: tokens that were issued and have not expired, what each derives from, and their places in status lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.issued_token import IssuedToken, StatusPlace
    from answerable.core.mandate.revocation import RevocationTarget

SUBTREE_ANSWER_MAX = 1_000
"""Tokens that one `subtree` names; the rest are counted."""


class TokenRegister(Protocol):
    """Promises: what `add` took is on stable storage when it returns; a place in a list belongs to one token for as
    long as that list is served, so that nobody inherits a revoked bit; `end` reaches every token that has one of the
    names, by itself or by what it came through, and everything derived from one, at whatever depth.

    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`token.duplicate`, `token.parent`).
    """

    def add(self, tokens: Iterable[IssuedToken]) -> None:
        """Keep issued tokens, all or none, in this order. A parent is added before its children.

        Raises Malformed: `token.duplicate` for a `jti` or place that is taken, `token.parent` for a parent that is not
        known, has ended, or would be outlived.
        """
        ...

    def restore(self, tokens: Iterable[IssuedToken]) -> int:
        """Take back tokens that were issued and that this register does not know, as after an older copy of it was put
        in place; returns how many. Their places are theirs, are given to nobody else from then on, and do not say that
        they ended. What is known, or whose place is another's, is left as it is. A parent comes before its children,
        and where it is not known its child is kept without. May wait."""
        ...

    def find(self, jti: str) -> IssuedToken | None:
        """The token, whether it has ended or not; None for one that is unknown or was pruned. May read."""
        ...

    def has_ended(self, jti: str) -> bool:
        """Whether it was ended, or is not known: who asks about an unknown token gets no good word for it. May read."""
        ...

    def end(self, names: Collection[RevocationTarget]) -> int:
        """End every token that has one of these names, with all that derive from them; returns how many that ended.

        Durable on return. What had ended before is not counted.
        """
        ...

    def subtree(self, names: Collection[RevocationTarget]) -> tuple[int, Sequence[IssuedToken]]:
        """How many tokens have one of these names or derive from one that has; and the first of them, roots first, at
        most SUBTREE_ANSWER_MAX. May read."""
        ...

    def statuses(self, list_number: int) -> bytes:
        """The bits of one status list, one per place, as `core.mandate.status_list` packs them. May read.

        Raises Malformed (`status.no_list`).
        """
        ...

    def take_places(self, count: int) -> Sequence[StatusPlace]:
        """Places in status lists for tokens that are about to be issued: drawn at random among the free ones, never
        given twice, also not after a crash. May wait."""
        ...

    def prune(self, *, before: UnixMillis, count_max: int) -> int:
        """Forget at most so many tokens that expired before then; returns how many. Their places stay taken."""
        ...
