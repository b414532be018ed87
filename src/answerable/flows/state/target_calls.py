"""Call the code of a target's kind, which may be a stranger's, and contain what its port does not let it raise.

Libraries raise stray cancellations when a connection breaks, and a task that takes one for its own cancellation would
end silently with its work undone. A stranger's code may raise anything, `SystemExit` too, and its words may quote a
secret that it has just read.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Final

import anyio

from answerable.errors import AnswerableError, shown
from answerable.errors.codes.leases import TARGET_FAILED, TARGET_GAVE_UP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.errors import Effect

_log: Final = logging.getLogger(__name__)


@contextmanager
def calling(by: str, *, port: str, effect: Effect) -> Iterator[None]:
    """Contain a call. by: what is called, for the error. effect: of a call that fails so.

    Errors of the family, time limits and the cancellation of a surrounding scope pass. Raises Unavailable:
    `target.gave_up` for a cancellation that no scope caused, `target.failed` for anything else, with its type and the
    line that raised it, and without its words.
    """
    try:
        yield
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() == -inf:
            raise
        raise TARGET_GAVE_UP(port=port, effect=effect) from None
    except (AnswerableError, TimeoutError):
        raise
    except BaseException as broken:
        _log.error("%s failed: %s", by, place_of(broken))
        raise TARGET_FAILED(f"{by} failed: {place_of(broken)}", port=port, effect=effect) from None


def other_than(by: str, wanted: str, found: object) -> AnswerableError:
    """Return the error (`target.failed`) for a call that returned something else than its port says."""
    kind = type(found).__name__
    return TARGET_FAILED(f"{by} failed: expected a {wanted}, got {shown(kind)}", effect="unknown")


def place_of(failed: BaseException) -> str:
    """Return the type of an error with the line that raised it."""
    at = failed.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    module = at.tb_frame.f_globals.get("__name__", "") if at is not None else ""
    line = at.tb_lineno if at is not None else 0
    return f"{shown(type(failed).__name__)} in line {line} of {shown(str(module))}"
