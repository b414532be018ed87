"""Restore, from the ledger, revocations that an older copy of the register lacks.

Law: an entry whose name cannot be opened is reported, never skipped. Only a person's name is sealed; every other
revocable name is in the leaf.
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
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess


def revocation_in(find: FindKey, stored: StoredEntry) -> Revocation | None:
    """Return the revocation of an entry with tag `revoked`; None if its target cannot be opened.

    If only the operator's name cannot be opened, their pseudonym is used and the reason is empty. Raises Broken
    (`ledger.leaf_malformed`).
    """
    leaf = leaf_of(stored)
    fields = payload_of(stored, leaf, find) or {}
    kind, since = str(leaf.get("kind")), leaf.get("since")
    # The leaf has a person's pseudonym, which matches no name in a request.
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


async def revoked_again(authority: AuthorityRegisters, live: LiveAccess, found: Iterable[Revocation]) -> int:
    """Put missing revocations into force with their original time. Return how many.

    They are in the ledger and are not recorded again. Raises Unavailable.
    """
    missing = [one for one in found if authority.revocations.find((one.what,)) is None]
    if not missing:
        return 0
    names = [one.what for one in missing]
    # 1. In force, all with one write: there may be many, and no listener is open yet. After a crash here they are in
    # force, and recorded a second time at the next start.
    count = await written(partial(authority.revocations.add_all, missing))
    # 2. As after a new revocation. `restore_ended_authority` ends the instances, once it knows their own ends.
    await take_away(authority, live, names)
    # 3. Mark them as recorded.
    await written(partial(authority.revocations.recorded, names))
    return count
