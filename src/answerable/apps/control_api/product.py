"""Declare what the control API needs of the running product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from answerable.flows.ledger.gather_cosignatures import WitnessState
    from answerable.flows.ledger.publish_set_checkpoint import ShardState
    from answerable.ports.published_log import PublishedLog
    from answerable.ports.search_process import Searches
    from answerable.wiring.walk import Walk


class Product(Protocol):
    """The running product, built by wiring. The API answers from the ports of `walk` and from the other members."""

    @property
    def walk(self) -> Walk:
        """Ports, limits and present state."""
        ...

    @property
    def log_key(self) -> str:
        """The verifier key of the log (C2SP signed-note), as `answerable ledger verify --key` takes it."""
        ...

    @property
    def searches(self) -> Searches:
        """The index that answers searches, stories, names and scope."""
        ...

    @property
    def published(self) -> PublishedLog:
        """The log as its public readers see it."""
        ...

    def policy(self) -> str:
        """Return the log, witnesses and quorum (C2SP tlog-policy); empty while they are not known."""
        ...

    def checkpoint(self) -> str:
        """Return the latest published checkpoint, empty when there is none yet."""
        ...

    def server_states(self) -> Mapping[str, str]:
        """Return each upstream server's state as one word, by name; empty when none was started."""
        ...

    def beside(self) -> Collection[str]:
        """Return the names of agents known to run under the account of this process."""
        ...

    def witness_states(self) -> Sequence[WitnessState]:
        """Return the state of each witness of the ledger; empty when there is none."""
        ...

    def unreadable_rows(self) -> Sequence[tuple[str, str, str]]:
        """Return rows of the registers that cannot be read and are out of use: kind, name and reason."""
        ...

    @property
    def registers_told(self) -> Callable[[], Sequence[str]]:
        """Return sentences about differences between registers and ledger, found at the start or since."""
        ...

    def shard_states(self) -> Sequence[ShardState]:
        """Return the state of each shard in the log of logs; empty if the ledger is one log."""
        ...
