"""Restore, from the ledger, issued tokens and their status list places that an older copy of the register lacks.

Laws: a place named by a token is not given to another token. A token that is no longer valid, because of a revocation,
a closed mandate or a missing mandate, is not listed as valid for verifiers that use only the list.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import AgentId
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.delegation_terms import INSTANCE, MANIFEST
from answerable.core.mandate.hop_token import consent_in, read_hop, signing_hash
from answerable.core.mandate.issued_token import IssuedToken, StatusPlace
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget, hop_names, instance_names
from answerable.core.mandate.status_list import reference_of
from answerable.errors import Malformed
from answerable.flows.revocation.end_instance import written
from answerable.flows.tokens.exchange_token import status_uri
from answerable.flows.validity.refuse_revoked import agent_names, mandate_names

if TYPE_CHECKING:
    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.mandate.hop_token import UnverifiedHop
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess
    from answerable.flows.state.worlds import Verification
    from answerable.ports.subject_keys import SubjectKeys
    from answerable.ports.token_register import TokenRegister


class RecalledTokens:
    """Collects hops that have not expired from entries. For the start of a process, before a listener opens."""

    def __init__(
        self,
        subject_keys: SubjectKeys,
        authority: AuthorityRegisters,
        live: LiveAccess,
        verification: Verification,
    ) -> None:
        self._subject_keys, self._authority, self._live = subject_keys, authority, live
        self._now = authority.clock.now()
        self._issuer = verification.delegations.audience()
        self._hops: dict[str, tuple[UnverifiedHop, dict[str, JSONValue]]] = {}
        self._again: list[IssuedToken] = []
        self._closed: set[MandateId] = set()

    def note(self, stored: StoredEntry) -> None:
        """Note an entry with tag `cited` or `mandate_closed`; a mandate may have been closed without room for what
        follows.

        Raises Broken (`ledger.leaf_malformed`).
        """
        leaf = leaf_of(stored)
        if stored.tag == Tag.MANDATE_CLOSED:
            self._closed.add(MandateId(str(leaf.get("mandate"))))
            return
        expires = leaf.get("expires")
        if leaf.get("kind") != KIND or not isinstance(expires, int) or expires <= self._now:
            return
        fields = payload_of(stored, leaf, self._subject_keys.find) or {}
        token = fields.get("token")
        if isinstance(token, str):
            self._hops[signing_hash(token)] = read_hop(token), leaf

    async def restored(self) -> int:
        """Put missing tokens back into the register. Return how many. Raises Unavailable."""
        register = self._live.tokens
        if register is None or not self._hops:
            return 0
        known: set[str] = set()
        for par_hash, (hop, leaf) in self._hops.items():
            place = self._place(hop) if leaf.get("form") == "online" else None
            if place is None:
                continue
            found = register.find(hop.jti)
            known.add(par_hash)
            if found is None:
                self._again.append(self._token(register, known, par_hash, place))
        return await written(partial(register.restore, self._again)) if self._again else 0

    async def end_fallen(self) -> None:
        """End restored tokens that are not valid, and all tokens under closed mandates. Call once revocations are
        restored.

        Raises Unavailable.
        """
        register = self._live.tokens
        if register is None:
            return
        mandates = {one.mandate for one in self._again}
        names = {
            RevocationTarget("mandate", one) for one in mandates | self._closed if not self._is_open(one)
        }
        for one in self._again:
            own = (*one.own_names(), *one.through)
            agents = (
                name
                for named in own
                if named.kind == "agent"
                for name in agent_names(self._authority, AgentId(named.name))
            )
            if self._authority.revocations.find((*own, *agents)) is not None:
                names.add(RevocationTarget("token", one.jti))
        if names:
            await written(partial(register.end, names))

    def _is_open(self, identity: MandateId) -> bool:
        mandate = self._authority.mandates.find(identity)
        if mandate is None or self._authority.mandates.state(identity) != "open":
            return False
        return self._authority.revocations.find(mandate_names(self._authority, mandate)) is None

    def _token(
        self, register: TokenRegister, known: set[str], par_hash: str, place: StatusPlace
    ) -> IssuedToken:
        """Rebuild the token as it was stored when it was issued."""
        hop, leaf = self._hops[par_hash]
        consent = consent_in(hop)
        through = {RevocationTarget("hop", consent.hash)} if consent is not None else set[RevocationTarget]()
        parent, above = "", hop.parent_hash
        while isinstance(above, str) and above in self._hops:
            giver, _ = self._hops[above]
            if above in known:
                parent = giver.jti
                break
            through.update(_said(giver, above))
            above = giver.parent_hash
        else:
            found = register.find(str(leaf.get("parent")))
            parent = found.jti if found is not None and found.par_hash == above else ""
        instance, manifest = _claim(hop, INSTANCE), _claim(hop, MANIFEST)
        return IssuedToken(
            jti=hop.jti,
            parent=parent,
            par_hash=par_hash,
            mandate=MandateId(str(leaf.get("mandate"))),
            agent=AgentId(hop.agent),
            key=hop.confirmation.thumbprint,
            manifest=manifest,
            trust_domain=next((one.name for one in instance_names(instance)), ""),
            instance=instance if instance_names(instance) else "",
            expires_at=hop.expires_at,
            place=place,
            through=tuple(sorted(through)),
        )

    def _place(self, hop: UnverifiedHop) -> StatusPlace | None:
        """Return its place in a status list of this service; None if it names none."""
        try:
            uri, index = reference_of(hop.raw.claims.get("status"))
        except Malformed:
            return None
        number = uri.rpartition("/")[2]
        if not number.isdecimal() or uri != status_uri(self._issuer, int(number)):
            return None
        return StatusPlace(list_number=int(number), index=index)


def _said(hop: UnverifiedHop, par_hash: str) -> tuple[RevocationTarget, ...]:
    """As `names_in_hop`, for a recorded hop."""
    instance = _claim(hop, INSTANCE)
    domain = [one for one in instance_names(instance) if one.kind == "trust_domain"]
    consent = consent_in(hop)
    names = (
        *hop_names(jti=hop.jti, par_hash=par_hash),
        RevocationTarget("hop", consent.hash if consent is not None else ""),
        RevocationTarget("agent", hop.agent),
        RevocationTarget("key", hop.confirmation.thumbprint),
        RevocationTarget("manifest", _claim(hop, MANIFEST)),
        RevocationTarget("agent", instance if domain else ""),
        *domain,
    )
    return tuple(one for one in names if one.name)


def _claim(hop: UnverifiedHop, name: str) -> str:
    value = hop.raw.claims.get(name)
    return value if isinstance(value, str) else ""
