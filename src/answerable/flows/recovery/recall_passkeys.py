"""Restore, from the ledger, added and removed passkeys that an older copy of the register lacks.

Laws: a passkey whose removal was recorded is not valid again. An invitation is used up if its use was recorded, or a
later invitation of its person. A passkey that cannot be opened, because its person was erased, does not come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from answerable.core.identity.people.passkey_form import passkey_in
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError, Malformed
from answerable.flows.revocation.end_instance import written

if TYPE_CHECKING:
    from answerable.core.identity.people.passkey import Passkey
    from answerable.core.ledger.entry import StoredEntry
    from answerable.flows.state.passkey_desk import PasskeyState
    from answerable.ports.clock import Clock
    from answerable.ports.passkey_register import PasskeyRegister
    from answerable.ports.subject_keys import SubjectKeys


@dataclass(slots=True, kw_only=True)
class RecalledPasskeys:
    """Collects passkeys from entries. `removed`: SHA-256 of credential ids, hex. `invitations`: digests of used-up
    invitations. `invited`: last invitation, by the person's pseudonym."""

    subject_keys: SubjectKeys
    passkeys: PasskeyState | None
    clock: Clock
    added: list[Passkey] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    invitations: set[bytes] = field(default_factory=set)
    invited: dict[str, bytes] = field(default_factory=dict)

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `passkey` or `passkey_removed`. Raises Broken (`ledger.leaf_malformed`)."""
        leaf = leaf_of(stored)
        if stored.tag == Tag.PASSKEY_REMOVED:
            self.removed.add(str(leaf.get("passkey")))
            return
        used = leaf.get("invitation")
        if leaf.get("change") == "invited" and isinstance(used, str):
            person = str(leaf.get("person"))
            if (earlier := self.invited.get(person)) is not None:
                self.invitations.add(earlier)
            self.invited[person] = bytes.fromhex(used)
        if leaf.get("change") != "added":
            return
        if isinstance(used, str) and used:
            self.invitations.add(bytes.fromhex(used))
        fields = payload_of(stored, leaf, self.subject_keys.find) or {}
        try:
            self.added.append(passkey_in(fields.get("credential")))
        except AnswerableError:
            return

    async def restored(self) -> int:
        """Bring the register up to the entries. Return how many passkeys it lacked. Raises Unavailable."""
        desk = self.passkeys
        return await written(lambda: self._restored(desk.register)) if desk is not None else 0

    def _restored(self, register: PasskeyRegister) -> int:
        now, count = self.clock.now(), 0
        for digest in self.invitations:
            register.use_invitation(digest, now=now)
        for one in self.added:
            try:
                register.add(one)
            except Malformed:
                continue
            count += 1
        for one in register.all():
            if sha256(one.id).hexdigest() in self.removed:
                register.remove(one.id, at=now)
        return count
