"""Check the hop tokens that a bundle discloses against their entries, their parent hops and the consents to them.

Laws:
- a disclosed token is the token that its entry is about;
- a hop that an agent signed for another agent is signed by the key in the `cnf` of the parent hop;
- a hop that the token service issued below another hop is for the holder of that hop, or for the agent and key to
  which that holder consented, and then within the consent, in scopes, bounds and sums.

Undisclosed fields cannot be compared; the checks count them. The token service's own signatures cannot be checked: no
bundle contains its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from answerable.core.ledger.records_delegation import CONSENT_KIND, KIND
from answerable.core.mandate import delegation_terms as terms
from answerable.core.mandate.attenuation import narrower
from answerable.core.mandate.delegation_lineage import spendable
from answerable.core.mandate.hop_signature import DelegatorBound
from answerable.core.mandate.hop_token import Consent, consent_in, read_hop
from answerable.errors import Malformed, Unverified
from answerable.verify.leaf_rules import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.mandate.hop_token import UnverifiedHop
    from answerable.verify.leaf_shapes import CitedLeaf

_FIELD: Final = "token"
_OFFLINE: Final = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    leaf: CitedLeaf
    hop: UnverifiedHop

    @property
    def is_offline(self) -> bool:
        """Whether an agent signed it, by its issuer."""
        return self.hop.issuer.startswith(terms.THUMBPRINT_URI)


class ShownTokens:
    """Collects hop tokens. unread: hops issued under a consent, where the token of the hop or of the consent is not
    disclosed."""

    def __init__(self) -> None:
        self.unread = 0
        self._shown: dict[int, _Shown] = {}
        self._hidden: list[int] = []
        self._found: list[tuple[int, Fault]] = []

    def take(self, index: int, leaf: CitedLeaf, disclosures: Sequence[Disclosure]) -> None:
        """Take the next cited entry, with its disclosed fields."""
        if leaf.kind not in (KIND, CONSENT_KIND):
            return
        values = [bytes(one.value) for one in disclosures if one.name == _FIELD]
        if not values:
            if leaf.consent is not UNSET:
                self._hidden.append(index)
            return
        try:
            hop = read_hop(msgspec.json.decode(values[0], type=str))
        except (Malformed, msgspec.DecodeError) as error:
            self._found.append((index, Fault("consent.token", f"the token that is shown is none: {error}")))
            return
        fault = _entry_fault(leaf, hop)
        if fault is not None:
            self._found.append((index, fault))
            return
        self._shown[index] = _Shown(leaf=leaf, hop=hop)

    def faults(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault, with the index of its entry. Call once, after the last entry."""
        yield from self._found
        self.unread = len(self._hidden)
        by_hash = {one.hop.raw.hash: one.hop for one in self._shown.values() if one.leaf.kind == KIND}
        for index, shown in self._shown.items():
            above = shown.hop.parent_hash
            parent = by_hash.get(above) if isinstance(above, str) else None
            fault = _offline_fault(shown, parent) if shown.is_offline else self._online_fault(shown, parent)
            if fault is not None:
                yield index, fault

    def _online_fault(self, shown: _Shown, parent: UnverifiedHop | None) -> Fault | None:
        """Check a hop that the token service issued."""
        if not shown.leaf.depth:
            return None
        try:
            consent = consent_in(shown.hop)
        except Malformed as error:
            return Fault("consent.token", error.message)
        told = shown.leaf.consent
        if consent is None:
            if told is not UNSET:
                return Fault("consent.missing", ("the entry refers to a consent, but its token names none"))
            if parent is not None and _holder(parent) != _holder(shown.hop):
                return Fault(
                    "consent.missing", ("the token was issued below another agent's hop without its consent")
                )
            return None
        if told is UNSET or (told.entry, told.leaf) != (consent.entry, consent.leaf):
            # Tokens from before consents were recorded do not name the consent's entry.
            return (
                None
                if told is UNSET and not consent.leaf
                else Fault(
                    "consent.missing",
                    ("the token names another entry for the consent than its own entry does"),
                )
            )
        if told.log is not UNSET:
            self.unread += 1
            return None
        agreed = self._shown.get(told.entry)
        if agreed is None:
            self.unread += 1
            return None
        return _consent_fault(shown.hop, consent, agreed.hop)


def _entry_fault(leaf: CitedLeaf, hop: UnverifiedHop) -> Fault | None:
    """Check that a token is the one that its entry is about."""
    said = (
        sha256(hop.raw.token.encode("ascii")).hexdigest(),
        hop.jti,
        hop.agent,
        hop.depth,
        hop.mission.id if hop.mission is not None else "",
        hop.expires_at,
        hop.issuer.startswith(terms.THUMBPRINT_URI),
    )
    offline = leaf.form == _OFFLINE
    if said != (leaf.name, leaf.hop, leaf.agent, leaf.depth, leaf.mandate, leaf.expires, offline):
        return Fault("consent.token", "the token is not the one of its entry")
    return None


def _offline_fault(shown: _Shown, parent: UnverifiedHop | None) -> Fault | None:
    """Check a hop that an agent signed, as far as the parent hop is disclosed."""
    if parent is None:
        return None
    try:
        DelegatorBound(lambda issuer: ()).form(shown.hop, parent)
    except Unverified as error:
        return Fault("consent.signature", f"the agent above did not sign it: {error.message}")
    wider = narrower(shown.hop.authority, parent.authority)
    return Fault("consent.wider", f"it has more than the hop above: {wider}") if wider is not None else None


def _consent_fault(issued: UnverifiedHop, consent: Consent, agreed: UnverifiedHop) -> Fault | None:
    """Check that a hop stays within the consent to it."""
    if agreed.raw.hash != consent.hash:
        return Fault("consent.other", "the consent of the entry is not the one that its token names")
    if agreed.parent_hash != issued.parent_hash:
        return Fault("consent.other", "the consent is for another parent hop than the token")
    if _holder(agreed) != _holder(issued):
        return Fault(
            "consent.other", ("the token was issued to another agent or key than the consent allows")
        )
    wider = narrower(issued.authority, agreed.authority)
    if wider is not None:
        return Fault("consent.wider", f"more was issued than was consented to: {wider}")
    single_use = agreed.raw.claims.get(terms.SINGLE_USE) is True
    if dict(consent.limits) != dict(spendable(agreed.authority, single_use=single_use)):
        return Fault("consent.wider", "the budgets of the token are not those of the consent")
    return None


def _holder(hop: UnverifiedHop) -> tuple[str, str, str]:
    return hop.agent, hop.confirmation.method, hop.confirmation.thumbprint
