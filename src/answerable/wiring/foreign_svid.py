"""SVIDs of this process from somebody else's Workload API, for whoever has no event loop at hand."""

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
    """address: `unix:///PATH` or `tcp://IP:PORT`. wanted: the SPIFFE ID to take of several.

    Raises Malformed (`federation.socket`). Every method blocks, outside an event loop, and raises as `WorkloadApiSvid`.
    """

    def __init__(self, address: str, *, wanted: SpiffeId | None = None) -> None:
        check_socket(address)
        self._api = WorkloadApiSvid(address=address, clock=SystemClock(), wanted=wanted)

    def x509(self) -> FetchedSvid:
        """The X.509-SVID of now, with its key."""
        return anyio.run(self._api.x509)

    def jwt(self, audience: str) -> str:
        """A fresh JWT-SVID for this audience."""
        return anyio.run(self._api.jwt, audience)
