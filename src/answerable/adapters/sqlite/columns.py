"""Reading back what we wrote: a row that cannot be understood makes the register unavailable, never smaller."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from answerable.adapters.sqlite.store import PORT
from answerable.errors import Malformed, Unavailable, shown

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def read(what: str, identity: str) -> Iterator[None]:
    """Raises Unavailable (`register.corrupt`) in place of Malformed: the fault is the file's, not a caller's."""
    try:
        yield
    except Malformed as error:
        message = f"{what} {shown(identity)} in the register file cannot be read: {error.message}"
        raise Unavailable(message, code="register.corrupt", port=PORT) from None


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
    if not isinstance(value, str):
        raise Unavailable("a text in the register file is not text", code="register.corrupt", port=PORT)
    return value


def whole(value: object) -> int:
    """An integer column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, int):
        raise Unavailable("a number in the register file is not one", code="register.corrupt", port=PORT)
    return value


def octets(value: object) -> bytes:
    """A blob column. Raises Unavailable (`register.corrupt`)."""
    if not isinstance(value, bytes):
        raise Unavailable("a blob in the register file is not one", code="register.corrupt", port=PORT)
    return value
