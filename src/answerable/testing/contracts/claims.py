"""Assertions for contract suites that work with any test runner."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn
from unittest import SkipTest

if TYPE_CHECKING:
    from collections.abc import Iterator


def claim(holds: bool, sentence: str) -> None:
    """Check a condition. Raises AssertionError with the sentence if it does not hold."""
    if not holds:
        raise AssertionError(sentence)


def lacks(trait: str) -> NoReturn:
    """Skip a test because the adapter lacks the tested trait; the test is reported as skipped under that name, not as
    passed."""
    raise SkipTest(f"not a trait of this adapter: {trait}")


@contextmanager
def raises(kind: type[Exception], code: str, sentence: str) -> Iterator[None]:
    """Check that the block raises this error with this code."""
    try:
        yield
    except kind as error:
        found = getattr(error, "code", None)
        claim(found == code, f"{sentence}: expected code {code}, got {found}")
        return
    raise AssertionError(sentence)
