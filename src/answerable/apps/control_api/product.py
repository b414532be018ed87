"""What this door needs of the running product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from answerable.flows.ledger.gather_cosignatures import WitnessState
    from answerable.flows.ledger.publish_set_checkpoint import ShardState
    from answerable.flows.state.walk import Walk
    from answerable.ports.published_log import PublishedLog


class Product(Protocol):
    """Made by wiring. Everything the door answers comes from the ports of `walk`, and from these eight."""

    @property
    def walk(self) -> Walk:
        """Ports, limits and present state."""
        ...

    @property
    def log_key(self) -> str:
        """The verifier key of the log (C2SP signed-note), as `answerable ledger verify --key` takes it."""
        ...

    @property
    def published(self) -> PublishedLog:
        """The log as strangers read it."""
        ...

    def policy(self) -> str:
        """Log, witnesses and quorum (C2SP tlog-policy), empty while they cannot be told."""
        ...

    def checkpoint(self) -> str:
        """The latest published checkpoint, empty when there is none yet."""
        ...

    def server_states(self) -> Mapping[str, str]:
        """Each upstream server by name with one word on how it is; empty when none was started."""
        ...

    def beside(self) -> Collection[str]:
        """Agents that are known to run under the account of this process, by name."""
        ...

    def witness_states(self) -> Sequence[WitnessState]:
        """How each witness of the ledger is; empty when there is none."""
        ...

    def unreadable_rows(self) -> Sequence[tuple[str, str, str]]:
        """What stands in the registers and cannot be read, and is out of use: its kind, its name, and why."""
        ...

    @property
    def registers_told(self) -> Callable[[], Sequence[str]]:
        """What in the registers was not as the ledger says, at the start or since; a sentence each."""
        ...

    def shard_states(self) -> Sequence[ShardState]:
        """How each shard stands in the log of logs; empty where the ledger is one log."""
        ...
