"""Putting an entry on disk when the caller may leave at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import CancelScope, get_cancelled_exc_class

from answerable.errors import Unavailable

if TYPE_CHECKING:
    from answerable.core.ledger.entry import Entry, Receipt
    from answerable.ports.ledger import Ledger


async def record_entry(
    ledger: Ledger, entry: Entry, *, patient: bool = True
) -> tuple[Receipt, BaseException | None]:
    """Make `entry` durable whether the caller stays or leaves; returns its receipt, and the cancellation if it left.

    The cancellation must be raised again once what follows from the entry has been done. A shield is built only when
    it is needed: entering one costs more than the whole record does. patient: wait for room; otherwise the entry has
    its place before anything else runs, or there is none. Raises Unavailable, and never a cancellation.
    """
    left: BaseException | None = None
    while True:
        try:
            submitted = ledger.submit(entry)
            break
        except Unavailable as busy:
            if busy.code != "ledger.busy" or not patient:
                raise
        try:
            with CancelScope(shield=True):
                await ledger.room(entry)
        except get_cancelled_exc_class() as gone:
            left = gone
    if left is None:
        try:
            return await submitted.durable(), None
        except get_cancelled_exc_class() as gone:
            left = gone
    while True:
        # The shield keeps out a leaving caller, not the end of a whole task, which may be asked for more than once.
        try:
            with CancelScope(shield=True):
                receipt = await submitted.durable()
            return receipt, left
        except get_cancelled_exc_class():
            continue
