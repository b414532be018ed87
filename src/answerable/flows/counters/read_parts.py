"""What counting the events of entries reads: a log, the keys of its sealed fields, and registers, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.containment.hold import HoldId
    from answerable.core.identity.names.principal import AgentId
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.mandate.mandate import MandateId
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot


class ReadEntry(Protocol):
    """Reads one entry. Raises Malformed (`ledger.no_entry`) for one beyond the end."""

    def entry(self, index: int, /) -> StoredEntry:
        """Return the entry."""
        ...


class ReadKeys(Protocol):
    """Keys of sealed fields."""

    def find(self, key_id: bytes, /) -> SubjectKey | None:
        """Return a key; None where it is destroyed. Raises Unavailable."""
        ...


class ReadLog(Protocol):
    """A log with its keys; a `Recorder` is one."""

    @property
    def ledger(self) -> ReadEntry:
        """The log."""
        ...

    @property
    def subject_keys(self) -> ReadKeys:
        """Its keys."""
        ...


class ReadDocuments(Protocol):
    """Documents in force."""

    @property
    def current(self) -> RegistrySnapshot:
        """The documents."""
        ...

    @property
    def index(self) -> CapabilityIndex:
        """Their capabilities by target."""
        ...


class ReadApprovals(Protocol):
    """Approvals by id."""

    def find(self, approval: ApprovalId, /) -> Approval | None:
        """Return the approval, or None."""
        ...


class GivenMandate(Protocol):
    """A mandate, of which its agent alone is needed."""

    @property
    def agent(self) -> AgentId:
        """Whom it was given to."""
        ...


class ReadMandates(Protocol):
    """Mandates by id."""

    def find(self, mandate: MandateId, /) -> GivenMandate | None:
        """Return the mandate, or None."""
        ...


class ReadHolds(Protocol):
    """Holds by id."""

    def get(self, hold: HoldId, /) -> object | None:
        """Return the hold, in force or not; None where there is none."""
        ...


class ReadRegisters(Protocol):
    """Registers; `AuthorityRegisters` are."""

    @property
    def registry(self) -> ReadDocuments:
        """Documents in force."""
        ...

    @property
    def approvals(self) -> ReadApprovals:
        """Approvals."""
        ...

    @property
    def mandates(self) -> ReadMandates:
        """Mandates."""
        ...

    @property
    def holds(self) -> ReadHolds:
        """Holds."""
        ...
