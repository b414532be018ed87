"""Chains of hops that callers name: verified once each, and remembered until they end.

What may change between two calls, whether a hop was revoked and whether the caller has its key, is not remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.delegation_chain import (
    DEPTH_MAX,
    holder_not_asked,
    split_chain,
    status_not_asked,
    verified_chain,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.delegation_chain import Chain
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.mandate.hop_signature import KeysOf
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

CHAINS_MAX: Final = 10_000
"""Chains remembered; past it the one that was not used for longest is verified anew."""
CHARS_MAX: Final = 1 << 26
"""Of all chains that are remembered: long ones push out more of the others."""
LINEAGES_MAX: Final = 64
"""Of one chain, by what its holder wants to act on."""

_TAIL_CHARS: Final = 64
"""By how much of its end a chain is looked up, which lies in the last signature; the rest is compared."""


def _nobody(_issuer: str) -> tuple[()]:
    return ()


@dataclass(slots=True, kw_only=True)
class KnownChain:
    """A chain that verified, and what was found out about it in one registry.

    text: as it was presented. starts, ends: Unix milliseconds between which it holds. lineages: by the mandate that was
    named and the server.
    """

    text: str
    chain: Chain
    starts: UnixMillis
    ends: UnixMillis
    snapshot: RegistrySnapshot | None = None
    lineages: dict[tuple[str, str], DelegationLineage] = field(default_factory=dict)

    def delegation_lineage(
        self, current: RegistrySnapshot, mandate_id: str, server: str
    ) -> DelegationLineage | None:
        """What was kept of it for this registry, None for nothing."""
        return self.lineages.get((mandate_id, server)) if self.snapshot is current else None

    def keep(
        self, delegation_lineage: DelegationLineage, current: RegistrySnapshot, mandate_id: str, server: str
    ) -> None:
        """Remember what holds for as long as this registry does."""
        if self.snapshot is not current or len(self.lineages) >= LINEAGES_MAX:
            self.snapshot, self.lineages = current, {}
        self.lineages[(mandate_id, server)] = delegation_lineage


@dataclass(slots=True, kw_only=True)
class Delegations:
    """keys_of: keys of the token service, by issuer. audience: whom hops must be for: what the token service is called.

    Without either, nothing that was handed on is believed. One walk's and one event loop's.
    """

    keys_of: KeysOf = _nobody
    audience: Callable[[], str] = str
    _known: OrderedDict[str, KnownChain] = field(default_factory=OrderedDict)
    _chars: int = 0

    def verified(self, text: str, now: UnixMillis) -> Chain:
        """The chain in a field. Raises Malformed and Unverified (`delegation.*`) as `verified_chain` does."""
        return self.known(text, now).chain

    def known(self, text: str, now: UnixMillis) -> KnownChain:
        """The chain in a field, with what is remembered of it. Raises as `verified`."""
        # Looking at all of a long field twice, once for its hash, would cost more than everything else here. Whoever
        # sends another text with the same end gets nothing: it is compared whole, and verified where it differs.
        tail = text[-_TAIL_CHARS:]
        found = self._known.get(tail)
        if found is not None and found.text == text:
            if found.starts <= now < found.ends:
                self._known.move_to_end(tail)
                return found
            self._forget(tail)
        chain = verified_chain(
            split_chain(text),
            keys_of=self.keys_of,
            audience=self.audience(),
            now=now,
            proved=holder_not_asked,
            status=status_not_asked,
            depth_max=DEPTH_MAX,
        )
        leaf = chain.leaf
        made = KnownChain(text=text, chain=chain, starts=leaf.not_before, ends=leaf.expires_at)
        self._forget(tail)
        self._known[tail] = made
        self._chars += len(text)
        while len(self._known) > CHAINS_MAX or self._chars > CHARS_MAX:
            self._forget(next(iter(self._known)))
        return made

    def forget(self) -> None:
        """Verify everything anew: the token service's keys are others now."""
        self._known.clear()
        self._chars = 0

    def _forget(self, tail: str) -> None:
        found = self._known.pop(tail, None)
        if found is not None:
            self._chars -= len(found.text)
