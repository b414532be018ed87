"""Build the entries about passkeys: invitations, passkeys added and removed, and refused sign-ins.

Refused sign-ins are recorded as counts, so that no unauthenticated caller can fill the ledger. A refusal inside a
person's session is recorded individually.

Names are sealed fields; so is the passkey with its public key, because it reveals which devices a person has. The leaf
has its thumbprint, by which an outside reader of the disclosed fields finds the entries about the same passkey.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.identity.people.passkey_form import passkey_members
from answerable.core.ledger.entry import sealed_entry
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.identity.people.invitation import Invitation
    from answerable.core.identity.people.passkey import Passkey
    from answerable.core.ledger.disclosure import Sealing
    from answerable.core.ledger.entry import Entry


def person_invited(
    invitation: Invitation, *, at: UnixMillis, sealing: Sealing, person: str, by: str
) -> Entry:
    """Build the entry of an invitation to enrol a passkey. person, by: pseudonyms of the invited and the inviting
    person."""
    members: dict[str, JSONValue] = {
        "by": by,
        "change": "invited",
        "expires": invitation.expires_at,
        "invitation": invitation.digest.hex(),
        "person": person,
    }
    fields = [(b"by_name", encode(invitation.by)), (b"person_name", encode(invitation.person))]
    return sealed_entry(Tag.PASSKEY, at=at, members=members, fields=fields, sealing=sealing)


def passkey_added(
    passkey: Passkey,
    *,
    at: UnixMillis,
    sealing: Sealing,
    person: str,
    by: str,
    by_name: str,
    invitation: bytes,
) -> Entry:
    """Build the entry of an enrolled passkey. by, by_name: who permitted it. invitation: digest of the code, empty when
    enrolled in the person's own session."""
    members: dict[str, JSONValue] = {
        **_about(passkey, person),
        "attested": passkey.attested,
        "backup_eligible": passkey.backup_eligible,
        "by": by,
        "change": "added",
        "invitation": invitation.hex(),
    }
    fields = [
        (b"by_name", encode(by_name)),
        (b"credential", encode(passkey_members(passkey))),
        (b"person_name", encode(passkey.person)),
    ]
    return sealed_entry(Tag.PASSKEY, at=at, members=members, fields=fields, sealing=sealing)


def passkey_removed(
    passkey: Passkey, *, at: UnixMillis, sealing: Sealing, person: str, by: str, by_name: str
) -> Entry:
    """Build the entry of a removed passkey."""
    fields = [
        (b"by_name", encode(by_name)),
        (b"label", encode(passkey.label)),
        (b"person_name", encode(passkey.person)),
    ]
    members = {**_about(passkey, person), "by": by}
    return sealed_entry(Tag.PASSKEY_REMOVED, at=at, members=members, fields=fields, sealing=sealing)


def sign_ins_refused(counts: Mapping[str, int], *, at: UnixMillis) -> Entry:
    """Build the entry that counts refused sign-ins and enrolments since the previous one, by code."""
    members: dict[str, JSONValue] = {
        "change": "refused",
        "counts": {one: counts[one] for one in sorted(counts)},
    }
    return sealed_entry(Tag.PASSKEY, at=at, members=members)


def session_refused(
    code: str,
    *,
    at: UnixMillis,
    sealing: Sealing,
    person: str,
    person_name: str,
    session: str,
    shown_by: str,
    browser: str,
    address: str,
) -> Entry:
    """Build the entry of a failed re-authentication in a person's session. code: the reason. session: the id by which
    the person sees the session in their list. shown_by: owner of the passkey presented; empty where none was."""
    fields = [
        (b"address", encode(address)),
        (b"browser", encode(browser)),
        (b"person_name", encode(person_name)),
        (b"shown_by", encode(shown_by)),
    ]
    members: dict[str, JSONValue] = {
        "change": "session_refused",
        "code": code,
        "person": person,
        "session": session,
    }
    return sealed_entry(Tag.PASSKEY, at=at, members=members, fields=fields, sealing=sealing)


def _about(passkey: Passkey, person: str) -> dict[str, JSONValue]:
    return {"key": passkey.key, "passkey": sha256(passkey.id).hexdigest(), "person": person}
