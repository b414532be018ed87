"""Reading back what we wrote: a row that cannot be understood makes the register unavailable, never smaller."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from answerable.errors import Malformed, Unavailable, shown
from answerable.errors.codes.ledger import REGISTER_BEHIND, REGISTER_CORRUPT

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


@contextmanager
def read(what: str, identity: str) -> Iterator[None]:
    """Raises Unavailable (`register.corrupt`) in place of Malformed: the fault is the file's, not a caller's."""
    try:
        yield
    except Malformed as error:
        message = f"{what} {shown(identity)} in the register file cannot be read: {error.message}"
        raise REGISTER_CORRUPT(message) from None


def given(what: str, identity: str, made: T | None) -> T:
    """What somebody asked for by its name. Raises Unavailable (`register.corrupt`) where its row cannot be read."""
    if made is None:
        raise REGISTER_CORRUPT(
            f"{what} {shown(identity)} in the register file cannot be read: `answerable doctor` says why"
        )
    return made


def behind(failed: Unavailable) -> Unavailable:
    """What whoever ended something is told where it is in force in this process and could not be written."""
    message = f"it is in force in this process, and the registers do not have it: {failed.message}"
    return REGISTER_BEHIND(message)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """For making very many objects that all stay: the garbage collector would go through them again and again, and
    find nothing to free. It is as it was afterwards; what became garbage meanwhile is found then."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


def text(value: object) -> str:
    """A text column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, str) or not (value.isascii() or _is_text(value)):
        raise REGISTER_CORRUPT("a text in the register file is not text")
    return value


def _is_text(value: str) -> bool:
    """Whether its bytes were UTF-8: the store gives others as surrogates, so that they spoil one row and no list."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def whole(value: object) -> int:
    """An integer column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, int):
        raise REGISTER_CORRUPT("a number in the register file is not one")
    return value


def octets(value: object) -> bytes:
    """A blob column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, bytes):
        raise REGISTER_CORRUPT("a blob in the register file is not one")
    return value
