"""A register of revocations that is older than the ledger: what it does not know is put back from the entries.

Law: an entry whose name nobody can open is told of, never passed over. Only a person's name is sealed; everything else
that can be revoked stands in the leaf.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.mandate.revocation import Revocation, revocable
from answerable.errors import Malformed
from answerable.flows.revocation.end_instance import written
from answerable.flows.revocation.revoke_authority import take_away

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.flows.state.walk import Walk


def revocation_in(find: FindKey, stored: StoredEntry) -> Revocation | None:
    """The revocation that an entry with tag `revoked` is about; None when it cannot be said of what.

    Where only who did it cannot be opened, their pseudonym stands in, and the reason is empty. Raises Broken
    (`ledger.leaf_malformed`).
    """
    leaf = leaf_of(stored)
    fields = payload_of(stored, leaf, find) or {}
    kind, since = str(leaf.get("kind")), leaf.get("since")
    # The leaf has a person's pseudonym, under which nobody would ever be refused.
    name = fields.get("person") if kind == "owner" else leaf.get("name")
    if not isinstance(name, str) or not isinstance(since, int):
        return None
    try:
        return Revocation(
            what=revocable(kind, name),
            at=UnixMillis(since),
            by=str(fields.get("by") or leaf.get("by")),
            reason=str(fields.get("reason") or ""),
        )
    except Malformed:
        return None


async def revoked_again(walk: Walk, found: Iterable[Revocation]) -> int:
    """Put those into force that the register does not know, with the time of the first time; returns how many.

    The ledger has them and is not told again. Raises Unavailable.
    """
    missing = [one for one in found if walk.revocations.find((one.what,)) is None]
    if not missing:
        return 0
    names = [one.what for one in missing]
    # 1. In force, all with one write: there may be very many, and no door is open yet. A crash after this line: in
    #    force, and recorded a second time at the next start.
    count = await written(partial(walk.revocations.add_all, missing))
    # 2. As at the first time; instances are ended by `restore_ended_authority`, once their own ends in the ledger are
    #    known.
    await take_away(walk, names)
    # 3. Nothing is left to be recorded.
    await written(partial(walk.revocations.recorded, names))
    return count
