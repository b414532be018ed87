"""What this door needs of the running product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.flows.walk import Walk


class Product(Protocol):
    """Made by wiring. Everything the door answers comes from the ports of `walk`, and from these three."""

    @property
    def walk(self) -> Walk:
        """Ports, limits and present state."""
        ...

    @property
    def log_key(self) -> str:
        """The verifier key of the log (C2SP signed-note), as `answerable ledger verify --key` takes it."""
        ...

    def checkpoint(self) -> str:
        """The latest published checkpoint, empty when there is none yet."""
        ...

    def server_states(self) -> Mapping[str, str]:
        """Each upstream server by name with one word on how it is; empty when none was started."""
        ...
