"""Port: issued tokens that have not expired, their parents, and their places in status lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.issued_token import IssuedToken, StatusPlace
    from answerable.core.mandate.revocation import RevocationTarget

SUBTREE_ANSWER_MAX = 1_000
"""Maximum number of tokens in one answer of `subtree`; the rest are counted."""


class TokenRegister(Protocol):
    """Promises: what `add` stored is on stable storage when it returns; a place in a list belongs to one token for as
    long as that list is served, so that no token inherits a revoked bit; `end` reaches every token that carries one of
    the names, directly or through its delegation chain, and every token derived from it, at any depth.

    Raises only Unavailable (`register.*`) and, from `add`, Malformed (`token.duplicate`, `token.parent`).
    """

    def add(self, tokens: Iterable[IssuedToken]) -> None:
        """Store issued tokens, all or none, in this order. A parent must come before its children.

        Raises Malformed: `token.duplicate` for a `jti` or place that is taken, `token.parent` for a parent that is
        unknown, has ended, or would expire before the child.
        """
        ...

    def restore(self, tokens: Iterable[IssuedToken]) -> int:
        """Store again issued tokens that this register does not know, as after an older copy of it was restored; return
        how many. Their places are never given to another token and do not mark them as ended. A token that is known, or
        whose place belongs to another, is skipped. A parent comes before its children; a child whose parent is unknown
        is stored without it. May wait."""
        ...

    def find(self, jti: str) -> IssuedToken | None:
        """Return the token, ended or not; None for one that is unknown or was pruned. May read."""
        ...

    def has_ended(self, jti: str) -> bool:
        """Whether the token was ended or is unknown: an unknown token is never reported as valid. May read."""
        ...

    def end(self, names: Collection[RevocationTarget]) -> int:
        """End every token that carries one of these names, and all tokens derived from it; return how many that ended.

        Durable on return. Tokens that had ended before are not counted.
        """
        ...

    def subtree(self, names: Collection[RevocationTarget]) -> tuple[int, Sequence[IssuedToken]]:
        """Return the number of tokens that carry one of these names or derive from one that does, and the first
        SUBTREE_ANSWER_MAX of them, roots first. May read."""
        ...

    def statuses(self, list_number: int) -> bytes:
        """Return the bits of one status list, one per place, as `core.mandate.status_list` packs them. May read.

        Raises Malformed (`status.no_list`).
        """
        ...

    def take_places(self, count: int) -> Sequence[StatusPlace]:
        """Reserve places in status lists for tokens about to be issued: drawn at random from the free ones, never given
        twice, also not after a crash. May wait."""
        ...

    def prune(self, *, before: UnixMillis, count_max: int) -> int:
        """Remove at most `count_max` tokens that expired before then; return how many. Their places stay taken."""
        ...
