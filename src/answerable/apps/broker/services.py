"""Declare what the broker's endpoints need from the rest of the system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.identity.keys.keys import PublicKey
    from answerable.flows.leases.lease_desk import BrokerState


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerServices:
    """The broker's dependencies.

    keys: returns the public keys that may sign warrants; re-reads them when a key is not known. uids: users whose
    processes are answered. kinds: kind of each target, by target name.
    """

    desk: BrokerState
    keys: Callable[[], tuple[PublicKey, ...]]
    uids: frozenset[int]
    kinds: Mapping[str, str]
