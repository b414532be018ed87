"""What the entries about people's passkeys say: who was invited by whom, which passkey is whose since when, and until
when; sign-ins that were refused, as counts, so that nobody unverified can fill the ledger; and in whose session
somebody was not its person.

Names are fields; so is the passkey with its public key, for it says which devices a person has. The leaf has its
thumbprint, by which a stranger who was shown the fields finds which entries speak of the same one.
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
    """A person may bring a passkey in. person, by: pseudonyms of whom, and of who says so."""
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
    """A passkey came in. by, by_name: who let it. invitation: digest of the code, empty for a session of the person."""
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
    """A passkey does not stand any more."""
    fields = [
        (b"by_name", encode(by_name)),
        (b"label", encode(passkey.label)),
        (b"person_name", encode(passkey.person)),
    ]
    members = {**_about(passkey, person), "by": by}
    return sealed_entry(Tag.PASSKEY_REMOVED, at=at, members=members, fields=fields, sealing=sealing)


def sign_ins_refused(counts: Mapping[str, int], *, at: UnixMillis) -> Entry:
    """How many sign-ins and enrolments were refused since the entry before, by code."""
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
    """Somebody in a session of a person did not show that they are this person. code: why it was refused. session: by
    which its person sees it in their list. shown_by: whose passkey was shown; empty where none was."""
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
