"""Chains of hops that callers name: verified once each, and remembered until they end.

What may change between two calls, whether a hop was revoked and whether the caller has its key, is not remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import sha256
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

    from answerable.core.identity.principal import UnixMillis
    from answerable.core.mandate.delegation_chain import Chain
    from answerable.core.mandate.hop_signature import KeysOf

CHAINS_MAX: Final = 10_000
"""Chains remembered; past it the one that was not used for longest is verified anew."""


def _nobody(_issuer: str) -> tuple[()]:
    return ()


@dataclass(slots=True, kw_only=True)
class Delegations:
    """keys_of: keys of the token service, by issuer. audience: whom hops must be for: what the token service is called.

    Without either, nothing that was handed on is believed. One event loop's.
    """

    keys_of: KeysOf = _nobody
    audience: Callable[[], str] = str
    _known: OrderedDict[bytes, Chain] = field(default_factory=OrderedDict)

    def verified(self, text: str, now: UnixMillis) -> Chain:
        """The chain in a field. Raises Malformed and Unverified (`delegation.*`) as `verified_chain` does."""
        name = sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and known.leaf.not_before <= now < known.leaf.expires_at:
            self._known.move_to_end(name)
            return known
        self._known.pop(name, None)
        chain = verified_chain(
            split_chain(text),
            keys_of=self.keys_of,
            audience=self.audience(),
            now=now,
            proved=holder_not_asked,
            status=status_not_asked,
            depth_max=DEPTH_MAX,
        )
        self._known[name] = chain
        if len(self._known) > CHAINS_MAX:
            self._known.popitem(last=False)
        return chain

    def forget(self) -> None:
        """Verify everything anew: the token service's keys are others now."""
        self._known.clear()
