"""Declare what the broker's endpoints need from the rest of the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.core.lease.own_account import OwnAccount
    from answerable.flows.leases.lease_desk import BrokerState


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerServices:
    """The broker's dependencies.

    keys: returns the public keys that may sign warrants; re-reads them when a key is not known. uids: users whose
    processes are answered. kinds: kind of each target, by target name. own: the broker's own secrets at each.
    """

    desk: BrokerState
    keys: Callable[[], tuple[PublicKey, ...]]
    uids: frozenset[int]
    kinds: Mapping[str, str]
    own: Mapping[str, tuple[OwnAccount, ...]] = field(default_factory=dict)
