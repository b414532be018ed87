"""How a contract suite states what must hold, whatever test runner runs it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn
from unittest import SkipTest

if TYPE_CHECKING:
    from collections.abc import Iterator


def claim(holds: bool, sentence: str) -> None:
    """Raises AssertionError with the sentence when it does not hold."""
    if not holds:
        raise AssertionError(sentence)


def lacks(trait: str) -> NoReturn:
    """The adapter does not have what a test is about: it is skipped by that name, and not taken for passed."""
    raise SkipTest(f"not a trait of this adapter: {trait}")


@contextmanager
def raises(kind: type[Exception], code: str, sentence: str) -> Iterator[None]:
    """The block must raise this very error, with this code."""
    try:
        yield
    except kind as error:
        found = getattr(error, "code", None)
        claim(found == code, f"{sentence}: expected code {code}, got {found}")
        return
    raise AssertionError(sentence)
