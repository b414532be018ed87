"""What the broker's door needs of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.flows.leases.lease_desk import BrokerState


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerServices:
    """keys: under which warrants are believed, read anew where one is not known. uids: users whose processes are
    answered. kinds: of the targets, by name."""

    desk: BrokerState
    keys: Callable[[], tuple[PublicKey, ...]]
    uids: frozenset[int]
    kinds: Mapping[str, str]
