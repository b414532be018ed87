"""Fetch SVIDs for this process from a foreign Workload API, for callers without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from answerable.adapters.system import SystemClock
from answerable.adapters.workload_api_client import WorkloadApiSvid
from answerable.core.identity.svid.federation import check_socket

if TYPE_CHECKING:
    from answerable.adapters.workload_api_client import FetchedSvid
    from answerable.core.identity.names.spiffe_id import SpiffeId


class ForeignSvids:
    """Client of a foreign Workload API. address: `unix:///PATH` or `tcp://IP:PORT`. wanted: the SPIFFE ID to select.

    Raises Malformed (`federation.socket`). Every method blocks, outside an event loop, and raises as `WorkloadApiSvid`.
    """

    def __init__(self, address: str, *, wanted: SpiffeId | None = None) -> None:
        check_socket(address)
        self._api = WorkloadApiSvid(address=address, clock=SystemClock(), wanted=wanted)

    def x509(self) -> FetchedSvid:
        """Return the current X.509-SVID with its key."""
        return anyio.run(self._api.x509)

    def jwt(self, audience: str) -> str:
        """Return a fresh JWT-SVID for this audience."""
        return anyio.run(self._api.jwt, audience)
