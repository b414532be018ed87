"""Decode columns of the register file. An unreadable value makes the register unavailable, rather than dropping
rows."""

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
    """Raise Unavailable (`register.corrupt`) in place of Malformed: the fault is the file's, not the caller's."""
    try:
        yield
    except Malformed as error:
        message = f"{what} {shown(identity)} in the register file cannot be read: {error.message}"
        raise REGISTER_CORRUPT(message) from None


def given(what: str, identity: str, made: T | None) -> T:
    """Return a row that was requested by name. Raises Unavailable (`register.corrupt`) if it cannot be read."""
    if made is None:
        raise REGISTER_CORRUPT(
            f"{what} {shown(identity)} in the register file cannot be read: `answerable doctor` says why"
        )
    return made


def behind(failed: Unavailable) -> Unavailable:
    """Return the error for a stop that is in force in this process, but could not be written to the registers."""
    message = (
        f"the change is in force in this process, but could not be written to the registers: {failed.message}"
    )
    return REGISTER_BEHIND(message)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Pause the garbage collector while very many long-lived objects are created: it would scan them repeatedly and
    free nothing. Garbage created meanwhile is collected afterwards."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


def text(value: object) -> str:
    """Decode a text column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, str) or not (value.isascii() or _is_text(value)):
        raise REGISTER_CORRUPT("a text in the register file is not text")
    return value


def _is_text(value: str) -> bool:
    """Whether the stored bytes were UTF-8. The store decodes other bytes as surrogates, so that they affect one row
    only."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def whole(value: object) -> int:
    """Decode an integer column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, int):
        raise REGISTER_CORRUPT("a number in the register file is not one")
    return value


def octets(value: object) -> bytes:
    """Decode a blob column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, bytes):
        raise REGISTER_CORRUPT("a blob in the register file is not one")
    return value
