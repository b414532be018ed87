"""Turn stray cancellations into errors. Libraries raise them when a connection breaks, and a task that takes one for
its own cancellation would end silently with its work undone."""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

import anyio

from answerable.errors.codes.leases import TARGET_GAVE_UP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.errors import Effect


@contextmanager
def no_stray_cancels(*, port: str, effect: Effect) -> Iterator[None]:
    """Raise Unavailable (`target.gave_up`) for a cancellation that no surrounding cancel scope caused."""
    try:
        yield
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() == -inf:
            raise
        raise TARGET_GAVE_UP(port=port, effect=effect) from None
