"""Cache of verified delegation chains: each chain that a caller presents is verified once, until it expires.

Not cached: whether a hop was revoked, and whether the caller holds its key. Both may change between two calls.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from answerable.core.mandate.delegation_chain import (
    holder_not_asked,
    split_chain,
    status_not_asked,
    verified_chain,
)
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.mandate.delegation_chain import Chain
    from answerable.core.mandate.delegation_lineage import DelegationLineage
    from answerable.core.mandate.hop_signature import KeysOf
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

CHAINS_MAX: Final = 10_000
"""Cached chains; when full, the least recently used chain is dropped."""
CHARS_MAX: Final = 1 << 26
"""Characters of all cached chains; a long chain displaces more of the others."""
LINEAGES_MAX: Final = 64
"""Cached lineages of one chain, by mandate and server."""

_TAIL_CHARS: Final = 64
"""Characters at the end of a chain, in its last signature, used as cache key; the rest is compared."""


def _nobody(_issuer: str) -> tuple[()]:
    return ()


@dataclass(slots=True, kw_only=True)
class KnownChain:
    """A verified chain, and the lineages found for it in one registry.

    `text`: as presented. `starts`, `ends`: validity, Unix milliseconds. `lineages`: by named mandate and server.
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
        """Return the lineage cached for this registry, or None."""
        return self.lineages.get((mandate_id, server)) if self.snapshot is current else None

    def keep(
        self, delegation_lineage: DelegationLineage, current: RegistrySnapshot, mandate_id: str, server: str
    ) -> None:
        """Cache a lineage for as long as this registry is current."""
        if self.snapshot is not current or len(self.lineages) >= LINEAGES_MAX:
            self.snapshot, self.lineages = current, {}
        self.lineages[(mandate_id, server)] = delegation_lineage


@dataclass(slots=True, kw_only=True)
class Delegations:
    """Verifies and caches chains. `keys_of`: keys of the token service, by issuer. `audience`: name of the token
    service, which hops must be issued for.

    Without either, every chain is refused. For one walk and one event loop; not thread-safe.
    """

    keys_of: KeysOf = _nobody
    audience: Callable[[], str] = str
    _known: OrderedDict[str, KnownChain] = field(default_factory=OrderedDict)
    _chars: int = 0

    def verified(self, text: str, now: UnixMillis) -> Chain:
        """Return the chain in a header field. Raises Malformed, Unverified (`delegation.*`) as `verified_chain`."""
        return self.known(text, now).chain

    def known(self, text: str, now: UnixMillis) -> KnownChain:
        """Return the chain in a header field with its cached lineages. Raises as `verified`."""
        # Hashing a long field would cost more than the rest of the lookup. A different text with the same tail gains
        # nothing: the whole text is compared, and verified if it differs.
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
            depth_max=DELEGATION_DEPTH_MAX,
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
        """Drop all cached chains: the token service's keys have changed."""
        self._known.clear()
        self._chars = 0

    def _forget(self, tail: str) -> None:
        found = self._known.pop(tail, None)
        if found is not None:
            self._chars -= len(found.text)
