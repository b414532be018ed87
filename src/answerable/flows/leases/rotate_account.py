"""Changing a password of the broker's own, in the order that never locks it out.

1. the new one is kept, beside the one that is given out; 2. the target is told; 3. the target lets us in with it; 4. it
is the one that is given out. Cut off anywhere, one that the target takes is kept: whoever connects tries the one that
is given out, and then the others, and the next attempt goes on with the new one that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.errors import shown
from answerable.errors.codes.leases import ACCOUNT_CHANGED, ACCOUNT_UNPROVED, SECRET_UNROTATABLE
from answerable.ports.admin_account import VALUE_BYTES

if TYPE_CHECKING:
    from answerable.core.lease.stored_secret import StoredSecret
    from answerable.ports.admin_account import AdminAccount
    from answerable.ports.entropy import Entropy
    from answerable.ports.secret_store import SecretStore

USER: Final = "rotation"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSecret:
    """A secret of the store that an account of the broker's own has. account: None where the broker cannot change it;
    why_not says why, in words."""

    name: str
    account: AdminAccount | None = None
    why_not: str = ""


async def rotate_account(store: SecretStore, own: OwnSecret, entropy: Entropy) -> StoredSecret:
    """How the secret stands then. What an earlier attempt began is brought to its end.

    Raises Refused: `secret.unrotatable` where the broker cannot, `secret.rotating` where somebody is at it,
    `account.refused`, and as the store does; Unavailable (`account.*`, `secrets.*`). The one before works on, or the
    new one does.
    """
    account, name = own.account, own.name
    if account is None:
        raise SECRET_UNROTATABLE(f"secret {shown(name)}: {own.why_not}")
    with store.rotating(name):
        value = entropy.bytes(VALUE_BYTES).hex().encode()
        secret = await to_thread.run_sync(store.prepare, name, value)
        kept = await to_thread.run_sync(lambda: store.candidates(name, by=USER))
        if kept.prepared is None:
            raise ACCOUNT_CHANGED(f"{shown(name)} was retired meanwhile")
        new = kept.prepared.text
        known = [one.text for one in (kept.current, kept.prepared, *kept.before)]
        await account.set_to(new, known=known, cuts=bool(secret.exposed_at))
        if not await account.takes(new):
            raise ACCOUNT_UNPROVED(
                f"the target does not take the new password of {shown(name)} that it was told: it is tried again"
            )
        return await to_thread.run_sync(store.settle, name)
