"""Rotate the password of one of the broker's own accounts, in an order that never locks the broker out.

1. Store the new password beside the current one. 2. Set it at the target. 3. Log in with it at the target. 4. Make it
the current one. After an interruption at any step, a password that the target accepts is stored: a connection tries the
current one and then the others, and the next attempt continues with the stored new one.
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
    """A stored secret of one of the broker's own accounts. account: None where the broker cannot change it; why_not:
    human-readable reason."""

    name: str
    account: AdminAccount | None = None
    why_not: str = ""


async def rotate_account(store: SecretStore, own: OwnSecret, entropy: Entropy) -> StoredSecret:
    """Rotate the secret and return it afterwards. Completes what an earlier attempt began.

    Raises Refused: `secret.unrotatable` where the broker cannot change it, `secret.rotating` where another rotation is
    running, `account.refused`, and as the store does; Unavailable (`account.*`, `secrets.*`). Afterwards either the old
    or the new password works.
    """
    account, name = own.account, own.name
    if account is None:
        raise SECRET_UNROTATABLE(f"secret {shown(name)} cannot be rotated: {own.why_not}")
    with store.rotating(name):
        value = entropy.bytes(VALUE_BYTES).hex().encode()
        secret = await to_thread.run_sync(store.prepare, name, value)
        kept = await to_thread.run_sync(lambda: store.candidates(name, by=USER))
        if kept.prepared is None:
            raise ACCOUNT_CHANGED(f"secret {shown(name)} was retired during the rotation")
        new = kept.prepared.text
        known = [one.text for one in (kept.current, kept.prepared, *kept.before)]
        await account.set_to(new, known=known, cuts=bool(secret.exposed_at))
        if not await account.takes(new):
            raise ACCOUNT_UNPROVED(
                f"the target does not accept the new password of {shown(name)} that was just set: "
                "the rotation is retried"
            )
        return await to_thread.run_sync(store.settle, name)
