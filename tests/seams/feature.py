"""What a row of the grid is: a feature that gives, uses or ends authority, or tells of it, as columns ask for it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.seams.life import Life

Answers = MappingProxyType
Kept = dict[str, Any]
"""What a row remembers of its own between its steps."""


class Feature:
    """One row. In a life `begin` comes first for all rows, then `finish` for all, then `look` as often as is wanted.

    name: of the row. claim: in one sentence. holds: each question, and how all doors answer it. tags, tables, nouns:
    the ledger entries, tables of registers and nouns of the command line that are part of it. asked: what a person asks
    the command line about it, with what the row keeps in braces, and a text of the answer. doors: a command and a path
    of the control API that answer one question, and the command's exit code. aged: what may be
    answered otherwise once a clock was a day ahead. cannot: for a column that cannot apply, why, in one sentence.
    """

    name: ClassVar[str]
    claim: ClassVar[str]
    holds: ClassVar[Mapping[str, str]]
    tags: ClassVar[frozenset[Tag]] = frozenset()
    tables: ClassVar[frozenset[str]] = frozenset()
    nouns: ClassVar[frozenset[str]] = frozenset()
    asked: ClassVar[tuple[str, str]]
    doors: ClassVar[tuple[str, str, int]]
    aged: ClassVar[Mapping[str, str]] = {}
    cannot: ClassVar[Mapping[str, str]] = {}

    def begin(self, life: Life, kept: Kept) -> None:
        """Give what is given, and leave waiting what waits."""

    def finish(self, life: Life, kept: Kept) -> None:
        """Use what is used up, and end what ends."""

    def write(self, life: Life, kept: Kept, number: int) -> object:
        """Once more, under another number: what tells that it was acknowledged. Raises whatever comes of a server that
        ends meanwhile."""
        raise NotImplementedError

    def written(self, life: Life, kept: Kept, number: int, said: object) -> bool:
        """Whether what was written under this number is there, the same in every place that holds it.

        said: what `write` returned; None where it was not acknowledged, and any part of it may be missing. Raises
        AssertionError where it is there by half.
        """
        raise NotImplementedError

    def look(self, life: Life, kept: Kept) -> dict[str, str]:
        """What the doors answer now. It changes nothing that another look would see."""
        raise NotImplementedError


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
