"""Rebuild the key generations of a trust domain from ledger entries: all of one that the register cannot read, and the
state of those that it has."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from answerable.core.identity.keys.compact_jws import from_base64url
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.authority import STATES, Authority
from answerable.core.identity.svid.certificate_rules import check_signing, read_certificate
from answerable.core.identity.svid.svid_keys import thumbprint
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.errors import AnswerableError
from answerable.errors.codes.identity import CERTIFICATE_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.identity.svid.authority import AuthoritySet, AuthorityState
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.projected import Told


@dataclass(slots=True)
class ToldAuthorities:
    """The generations found. named: ids of all generations, also of those whose entries lack their keys. sequence: the
    highest bundle sequence that an entry names."""

    authorities: dict[str, Authority] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    sequence: int = 0

    def note(self, leaf: dict[str, JSONValue]) -> None:
        """Take an entry of a changed authority. An entry without its keys adds no new generation."""
        name, state, at, sequence = (leaf.get(one) for one in ("authority", "state", "at", "sequence"))
        if isinstance(sequence, int):
            self.sequence = max(self.sequence, sequence)
        if not isinstance(name, str) or not isinstance(at, int) or state not in STATES:
            return
        self.named.add(name)
        known = self.authorities.get(name)
        if known is None:
            try:
                known = _made(name, leaf, UnixMillis(at))
            except AnswerableError:
                return
        if STATES.index(state) >= STATES.index(known.state):
            known = replace(known, state=state, since=UnixMillis(at))
        self.authorities[name] = known


def authorities_after(known: AuthoritySet | None, told: Told) -> AuthoritySet | None:
    """Return the trust domain after an entry; None where there is none, which begins anew.

    A generation that the register does not have is not added: no entry proves that its keys are ours. What it signed
    must be issued again. Raises Malformed (`authority.set`).
    """
    name, state, sequence = (told.leaf.get(one) for one in ("authority", "state", "sequence"))
    if known is None or state not in STATES:
        return known
    reached = known.sequence if not isinstance(sequence, int) else max(known.sequence, sequence)
    found, active = known.find(str(name)), known.active
    moved: dict[str, AuthorityState] = {}
    if found is not None and STATES.index(state) > STATES.index(found.state):
        moved[found.id] = state
        if state == "active" and active is not None:
            # An entry that is applied again brings no earlier generation back.
            later = active.since > told.at
            moved[found.id if later else active.id] = "old"
    if not moved and reached == known.sequence:
        return known
    at = UnixMillis(told.at)
    generations = tuple(
        replace(one, state=moved[one.id], since=at) if one.id in moved else one for one in known.authorities
    )
    return replace(known, authorities=generations, sequence=reached, revision=known.revision + 1)


def told_authorities(entries: Iterable[StoredEntry]) -> ToldAuthorities:
    """Collect the generations from the entries of a log. Raises Broken as `leaf_of`."""
    told = ToldAuthorities()
    for stored in entries:
        if stored.tag == Tag.AUTHORITY_CHANGED:
            told.note(leaf_of(stored))
    return told


def is_whole(authority: Authority) -> bool:
    """Whether the certificate is a signing authority's and the keys match their key ids."""
    try:
        check_signing(read_certificate(authority.certificate))
        return (thumbprint(authority.jwt_jwk), thumbprint(authority.wit_jwk)) == (
            authority.jwt_kid,
            authority.wit_kid,
        )
    except AnswerableError:
        return False


def _made(name: str, leaf: dict[str, JSONValue], at: UnixMillis) -> Authority:
    """Build a generation in state prepared. Raises AnswerableError for an entry without all its data."""
    jwt, wit = str(leaf.get("jwt_key")), str(leaf.get("wit_key"))
    not_before, not_after = leaf.get("not_before"), leaf.get("not_after")
    return Authority(
        id=name,
        state="prepared",
        certificate=from_base64url(str(leaf.get("certificate")), malformed=CERTIFICATE_MALFORMED),
        jwt_kid=thumbprint(jwt),
        jwt_jwk=jwt,
        wit_kid=thumbprint(wit),
        wit_jwk=wit,
        not_before=UnixMillis(not_before if isinstance(not_before, int) else 0),
        not_after=UnixMillis(not_after if isinstance(not_after, int) else 0),
        prepared_at=at,
        since=at,
    )
