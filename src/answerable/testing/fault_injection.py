"""Inject faults into every port of a walk: before a call takes effect, after it, or as a crash of the process.

A dead process does nothing more: once `Trouble` has injected a crash, every later call of every port ends in `Crash`.
"""

from __future__ import annotations

import asyncio
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from answerable.core.ledger.entry import Receipt
from answerable.core.tlog.merkle import leaf_hash
from answerable.errors.codes.ledger import (
    LEDGER_BUSY,
    LEDGER_FULL,
    LEDGER_NO_ENTRY,
    LEDGER_POISONED,
    REGISTER_UNAVAILABLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.decision.history import HistoryState
    from answerable.core.identity.names.principal import AgentId, UnixMillis
    from answerable.core.ledger.entry import Entry, StoredEntry
    from answerable.core.ledger.leaves import Reference
    from answerable.core.ledger.subject_key import SubjectKey
    from answerable.core.mandate.budget import Account, Amounts, Lack
    from answerable.core.mandate.mandate import Mandate, MandateId, MandateState
    from answerable.core.registry.parsing.in_force import Coming, InForce
    from answerable.core.registry.snapshot.resolve import CapabilityIndex
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot
    from answerable.ports.approval_register import ApprovalRegister
    from answerable.ports.history_register import HistoryRegister, KeptHistory
    from answerable.ports.ledger import Ledger, Submitted
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.registry_store import RegistryStore
    from answerable.ports.subject_keys import SubjectKeys

    T = TypeVar("T")

Fault: TypeAlias = Literal["undone", "done", "crash_before", "crash_after", "full", "busy"]
FAULTS: Final[tuple[Fault, ...]] = ("undone", "done", "crash_before", "crash_after")
"""Faults of any call. A log can also be full, or have no room at this moment."""


def faults_of(method: str) -> tuple[Fault, ...]:
    """Return the possible faults of a call of this method."""
    return (*FAULTS, "full", "busy") if method == "ledger.submit" else FAULTS


class Crash(BaseException):
    """The simulated end of the process. Nothing in the product catches it and continues."""


class Trouble:
    """Decides the faults of all calls. plan: the fault of the call with this number, from 0, to this port's method;
    None for no fault.

    at_crash: called at the moment of a crash. calls: names of all calls so far. struck: injected faults, as `method:
    fault`.
    """

    def __init__(
        self, plan: Callable[[int, str], Fault | None], *, at_crash: Callable[[], None] = lambda: None
    ) -> None:
        self._plan, self._at_crash = plan, at_crash
        self.calls: list[str] = []
        self.struck: list[str] = []
        self.dead = False

    def next(self, method: str) -> Fault | None:
        """Return the fault of the next call. Raises Crash in a dead process and for a crash before the call."""
        if self.dead:
            raise Crash
        number = len(self.calls)
        self.calls.append(method)
        fault = self._plan(number, method)
        if fault is not None:
            self.struck.append(f"{method}: {fault}")
        if fault == "crash_before":
            self.crash()
        return fault

    def crash(self) -> None:
        """End the process. Raises Crash."""
        self.dead = True
        self._at_crash()
        raise Crash

    def call(self, method: str, action: Callable[[], T]) -> T:
        """Run a synchronous call of a register with its fault."""
        fault = self.next(method)
        if fault == "undone":
            raise REGISTER_UNAVAILABLE("failed on purpose")
        result = action()
        if fault == "crash_after":
            self.crash()
        if fault == "done":
            raise REGISTER_UNAVAILABLE("failed on purpose", effect="unknown")
        return result


class _OnItsWay:
    """Port Submitted: an entry that becomes durable later. fault: its result. kept: None if nothing reaches the
    disk."""

    def __init__(
        self, ledger: TroubledLedger, receipt: Receipt, *, kept: Submitted | None, fault: Fault | None
    ) -> None:
        self.receipt = receipt
        self._ledger, self._kept, self._fault = ledger, kept, fault
        self._turns = ledger.latency()

    async def durable(self) -> Receipt:
        """Wait for the planned latency and fault. Raises Crash, and Unavailable as after a failed sync."""
        while self._turns > 0:
            self._turns -= 1
            await asyncio.sleep(0)
        if self._kept is not None:
            await self._kept.durable()
            self._ledger.size = max(self._ledger.size, self.receipt.index + 1)
        if self._ledger.trouble.dead:
            raise Crash
        if self._fault == "crash_after":
            self._ledger.trouble.crash()
        if self._fault is not None:
            raise LEDGER_POISONED("the sync failed", effect="unknown")
        return self.receipt


class TroubledLedger:
    """Implements ports.ledger.Ledger with faults. undone: a write that fails without effect. done: a sync that fails
    although everything is on disk. After a failed write it is poisoned, as a real ledger is. full, busy: refused
    without further effect.

    latency: turns of the event loop until an entry is durable; before that, `replay` does not return it.
    """

    def __init__(self, ledger: Ledger, trouble: Trouble, *, latency: Callable[[], int] = lambda: 1) -> None:
        self._ledger, self.trouble, self.latency = ledger, trouble, latency
        self.size = ledger.size
        self.poisoned = False

    @property
    def origin(self) -> str:
        return self._ledger.origin

    async def append(self, entry: Entry) -> Receipt:
        return await self.submit(entry).durable()

    async def room(self, entry: Entry) -> None:
        """Wait for room, which there is a turn later."""
        await asyncio.sleep(0)
        await self._ledger.room(entry)

    def submit(self, entry: Entry) -> Submitted:
        fault = self.trouble.next("ledger.submit")
        if self.poisoned:
            raise LEDGER_POISONED("the log is poisoned")
        if fault in ("full", "busy"):
            raise (LEDGER_FULL if fault == "full" else LEDGER_BUSY)("no room")
        if fault == "undone":
            self.poisoned = True
            nowhere = Receipt(index=self._ledger.size, leaf_hash=leaf_hash(entry.leaf))
            return _OnItsWay(self, nowhere, kept=None, fault=fault)
        kept = self._ledger.submit(entry)
        self.poisoned = fault == "done"
        return _OnItsWay(self, kept.receipt, kept=kept, fault=fault)

    def replay(self, start: int = 0) -> Iterator[StoredEntry]:
        size = self.size
        return takewhile(lambda stored: stored.index < size, self._ledger.replay(start))

    def entry(self, index: int) -> StoredEntry:
        if index >= self.size:
            raise LEDGER_NO_ENTRY(f"entry {index} is not durable yet")
        return self._ledger.entry(index)

    def open_intents(self) -> tuple[StoredEntry, ...]:
        return tuple(stored for stored in self._ledger.open_intents() if stored.index < self.size)

    def seal(self) -> str:
        return self._ledger.seal()


class TroubledMandates:
    """Implements ports.mandate_register.MandateRegister. Budgets are in memory and fail only with the process."""

    def __init__(self, register: MandateRegister, trouble: Trouble) -> None:
        self._register, self._trouble = register, trouble

    def find(self, mandate: MandateId) -> Mandate | None:
        return self._trouble.call("mandates.find", lambda: self._register.find(mandate))

    def state(self, mandate: MandateId) -> MandateState:
        return self._register.state(mandate)

    def calls_used(self, mandate: MandateId) -> int:
        return self._register.calls_used(mandate)

    def used(self, account: str) -> Amounts:
        return self._register.used(account)

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        return self._register.lack(accounts, amounts)

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> int | Lack | None:
        return self._register.reserve(accounts, amounts)

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        self._register.give_back(accounts, amounts)

    def take_more(self, accounts: Iterable[str], amounts: Amounts) -> None:
        self._register.take_more(accounts, amounts)

    def restore_used(self, account: str, amounts: Amounts) -> None:
        self._register.restore_used(account, amounts)

    def keep_used(self, origin: str, used: Mapping[str, Amounts], entries: int) -> None:
        self._trouble.call("mandates.keep_used", lambda: self._register.keep_used(origin, used, entries))

    def kept_used(self, origin: str) -> Mapping[str, Amounts]:
        return self._register.kept_used(origin)

    def used_up_to(self, origin: str) -> int:
        return self._register.used_up_to(origin)

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        self._trouble.call("mandates.add", lambda: self._register.add(mandate, issued=issued))

    def issued(self, mandate: MandateId) -> Reference | None:
        return self._register.issued(mandate)

    def admit(self, mandate: MandateId, giver: AgentId, receiver: AgentId, *, width_max: int) -> bool:
        return self._trouble.call(
            "mandates.admit", lambda: self._register.admit(mandate, giver, receiver, width_max=width_max)
        )

    def close(self, mandate: MandateId) -> None:
        self._trouble.call("mandates.close", lambda: self._register.close(mandate))

    def all(self) -> Iterable[Mandate]:
        return self._register.all()


class TroubledApprovals:
    """Implements ports.approval_register.ApprovalRegister."""

    def __init__(self, register: ApprovalRegister, trouble: Trouble) -> None:
        self._register, self._trouble = register, trouble

    def find(self, approval: ApprovalId) -> Approval | None:
        return self._trouble.call("approvals.find", lambda: self._register.find(approval))

    def matching(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        return self._trouble.call(
            "approvals.matching", lambda: self._register.matching(agent, mandate, digest, now)
        )

    def denied(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        return self._trouble.call(
            "approvals.denied", lambda: self._register.denied(agent, mandate, digest, now)
        )

    def add(self, approval: Approval) -> None:
        self._trouble.call("approvals.add", lambda: self._register.add(approval))

    def replace(self, approval: Approval, *, was: Approval) -> bool:
        return self._trouble.call("approvals.replace", lambda: self._register.replace(approval, was=was))

    def replace_many(self, changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
        return self._trouble.call("approvals.replace_many", lambda: self._register.replace_many(changes))

    def use(self, approval: ApprovalId, now: UnixMillis) -> bool:
        return self._trouble.call("approvals.use", lambda: self._register.use(approval, now))

    def deciding(self) -> AbstractContextManager[object]:
        return self._register.deciding()

    def give_back(self, approval: ApprovalId) -> None:
        self._register.give_back(approval)

    def keep_use(self, approval: ApprovalId) -> None:
        self._register.keep_use(approval)

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        return self._register.all(pending_only=pending_only, now=now)


class TroubledRegistry:
    """Implements ports.registry_store.RegistryStore."""

    def __init__(self, store: RegistryStore, trouble: Trouble) -> None:
        self._store, self._trouble = store, trouble

    @property
    def current(self) -> RegistrySnapshot:
        return self._store.current

    @property
    def index(self) -> CapabilityIndex:
        return self._store.index

    def documents(self) -> dict[str, bytes]:
        return self._store.documents()

    def put(self, documents: dict[str, bytes], made: InForce | None = None) -> None:
        self._trouble.call("registry.put", lambda: self._store.put(documents, made))

    @property
    def coming(self) -> Coming | None:
        return self._store.coming

    def take_over(self, coming: Coming, made: InForce) -> bool:
        return self._store.take_over(coming, made)


class TroubledSubjectKeys:
    """Implements ports.subject_keys.SubjectKeys. done: the key was made, but the caller got an error."""

    def __init__(self, keys: SubjectKeys, trouble: Trouble) -> None:
        self._keys, self._trouble = keys, trouble

    def of(self, subject: str) -> SubjectKey:
        return self._trouble.call("subject_keys.of", lambda: self._keys.of(subject))

    def find(self, key_id: bytes) -> SubjectKey | None:
        return self._trouble.call("subject_keys.find", lambda: self._keys.find(key_id))


class TroubledHistory:
    """Implements ports.history_register.HistoryRegister."""

    def __init__(self, register: HistoryRegister, trouble: Trouble) -> None:
        self._register, self._trouble = register, trouble

    def keep(self, origin: str, state: HistoryState) -> None:
        self._trouble.call("history.keep", lambda: self._register.keep(origin, state))

    def kept(self, origin: str) -> KeptHistory:
        return self._trouble.call("history.kept", lambda: self._register.kept(origin))
