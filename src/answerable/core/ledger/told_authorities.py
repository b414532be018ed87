"""The generations of a trust domain as entries of the ledger tell them, to make one again that cannot be read."""

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
    from answerable.core.ledger.entry import StoredEntry


@dataclass(slots=True)
class ToldAuthorities:
    """sequence: the highest of the bundle that an entry names."""

    authorities: dict[str, Authority] = field(default_factory=dict)
    sequence: int = 0

    def note(self, leaf: dict[str, JSONValue]) -> None:
        """Take an entry that an authority changed; one that does not say its keys tells nothing."""
        name, state, at, sequence = (leaf.get(one) for one in ("authority", "state", "at", "sequence"))
        if isinstance(sequence, int):
            self.sequence = max(self.sequence, sequence)
        if not isinstance(name, str) or not isinstance(at, int) or state not in STATES:
            return
        known = self.authorities.get(name)
        if known is None:
            try:
                known = _made(name, leaf, UnixMillis(at))
            except AnswerableError:
                return
        if STATES.index(state) >= STATES.index(known.state):
            known = replace(known, state=state, since=UnixMillis(at))
        self.authorities[name] = known


def told_authorities(entries: Iterable[StoredEntry]) -> ToldAuthorities:
    """What a log says of them. Raises Broken as `leaf_of`."""
    told = ToldAuthorities()
    for stored in entries:
        if stored.tag == Tag.AUTHORITY_CHANGED:
            told.note(leaf_of(stored))
    return told


def is_whole(authority: Authority) -> bool:
    """Whether its certificate is one of an authority and its keys are those that it is known by."""
    try:
        check_signing(read_certificate(authority.certificate))
        return (thumbprint(authority.jwt_jwk), thumbprint(authority.wit_jwk)) == (
            authority.jwt_kid,
            authority.wit_kid,
        )
    except AnswerableError:
        return False


def _made(name: str, leaf: dict[str, JSONValue], at: UnixMillis) -> Authority:
    """Prepared when it is first spoken of. Raises AnswerableError for an entry that does not say all of it."""
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
