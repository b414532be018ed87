"""Registers and registry in memory: the same answers as durable ones, until the process ends."""

from __future__ import annotations

import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.core.mandate.budget import Spending
from answerable.core.mandate.mandate import MandateId
from answerable.core.registry.in_force import DocumentsInForce, in_force
from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.approval.approval import Approval, ApprovalId
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.ledger.leaves import Reference
    from answerable.core.mandate.budget import Account, Amounts, Lack
    from answerable.core.mandate.mandate import Mandate, MandateState
    from answerable.core.registry.in_force import Coming, InForce
    from answerable.core.registry.resolve import CapabilityIndex
    from answerable.core.registry.snapshot import RegistrySnapshot


class MemoryMandateRegister:
    """Port MandateRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mandates: dict[MandateId, Mandate] = {}
        self._issued: dict[MandateId, Reference] = {}
        self._closed: set[MandateId] = set()
        self._spending = Spending()
        self._receivers: dict[tuple[MandateId, AgentId], set[AgentId]] = {}
        self._kept: dict[str, dict[str, Amounts]] = {}
        self._counted: dict[str, int] = {}

    def find(self, mandate: MandateId) -> Mandate | None:
        """As the port says."""
        return self._mandates.get(mandate)

    def state(self, mandate: MandateId) -> MandateState:
        """As the port says."""
        return "open" if mandate in self._mandates and mandate not in self._closed else "closed"

    def calls_used(self, mandate: MandateId) -> int:
        """As the port says."""
        return self._spending.calls(mandate)

    def used(self, account: str) -> Amounts:
        """As the port says."""
        with self._lock:
            return self._spending.used(account)

    def lack(self, accounts: Sequence[Account], amounts: Amounts) -> Lack | None:
        """As the port says."""
        with self._lock:
            return self._spending.lack(accounts, amounts)

    def reserve(self, accounts: Sequence[Account], amounts: Amounts) -> int | Lack | None:
        """As the port says."""
        mandate = MandateId(accounts[0].id)
        with self._lock:
            if mandate not in self._mandates or mandate in self._closed:
                return None
            lack = self._spending.reserve(accounts, amounts)
            return self._spending.calls(mandate) if lack is None else lack

    def give_back(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """As the port says."""
        with self._lock:
            self._spending.give_back(accounts, amounts)

    def take_more(self, accounts: Iterable[str], amounts: Amounts) -> None:
        """As the port says."""
        with self._lock:
            self._spending.take(accounts, amounts)

    def restore_used(self, account: str, amounts: Amounts) -> None:
        """As the port says."""
        with self._lock:
            self._spending.restore(account, amounts)

    def keep_used(self, origin: str, used: Mapping[str, Amounts], entries: int) -> None:
        """As the port says."""
        self._kept.setdefault(origin, {}).update({one: dict(amounts) for one, amounts in used.items()})
        self._counted[origin] = entries

    def kept_used(self, origin: str) -> Mapping[str, Amounts]:
        """As the port says."""
        return dict(self._kept.get(origin, {}))

    def used_up_to(self, origin: str) -> int:
        """As the port says."""
        return self._counted.get(origin, 0)

    def add(self, mandate: Mandate, *, issued: Reference | None = None) -> None:
        """As the port says."""
        with self._lock:
            if mandate.id in self._mandates:
                message = f"a mandate {shown(mandate.id)} is registered already"
                raise Malformed(message, code="mandate.duplicate")
            self._mandates[mandate.id] = mandate
            if issued is not None:
                self._issued[mandate.id] = issued

    def issued(self, mandate: MandateId) -> Reference | None:
        """As the port says."""
        return self._issued.get(mandate)

    def close(self, mandate: MandateId) -> None:
        """As the port says."""
        with self._lock:
            if mandate in self._mandates:
                self._closed.add(mandate)

    def admit(self, mandate: MandateId, giver: AgentId, receiver: AgentId, *, width_max: int) -> bool:
        """As the port says."""
        with self._lock:
            known = self._receivers.setdefault((mandate, giver), set())
            if receiver not in known and len(known) >= width_max:
                return False
            known.add(receiver)
        return True

    def all(self) -> Iterable[Mandate]:
        """As the port says."""
        return tuple(reversed(tuple(self._mandates.values())))


class MemoryApprovalRegister:
    """Port ApprovalRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._approvals: dict[ApprovalId, Approval] = {}

    def find(self, approval: ApprovalId) -> Approval | None:
        """As the port says."""
        return self._approvals.get(approval)

    def matching(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """As the port says."""
        for approval in reversed(tuple(self._approvals.values())):
            place = (approval.agent, approval.mandate, approval.action.digest)
            is_it = approval.canary is None and place == (agent, mandate, digest)
            if is_it and approval.state_at(now) in ("pending", "approved"):
                return approval
        return None

    def denied(self, agent: AgentId, mandate: MandateId, digest: bytes, now: UnixMillis) -> Approval | None:
        """As the port says."""
        for approval in reversed(tuple(self._approvals.values())):
            place = (approval.agent, approval.mandate, approval.action.digest)
            is_it = approval.canary is None and place == (agent, mandate, digest)
            if is_it and approval.state not in ("void", "expired"):
                return approval if approval.is_denied_by_people(now) else None
        return None

    def add(self, approval: Approval) -> None:
        """As the port says. Raises Malformed (`approval.duplicate`) for an id that is there already."""
        with self._lock:
            if approval.id in self._approvals:
                message = f"an approval {shown(approval.id)} is registered already"
                raise Malformed(message, code="approval.duplicate")
            self._approvals[approval.id] = approval

    def replace(self, approval: Approval, *, was: Approval) -> bool:
        """As the port says."""
        with self._lock:
            if self._approvals.get(was.id) != was or approval.id != was.id:
                return False
            self._approvals[was.id] = approval
            return True

    def replace_many(self, changes: Sequence[tuple[Approval, Approval]]) -> tuple[bool, ...]:
        """As the port says."""
        return tuple(self.replace(approval, was=was) for approval, was in changes)

    def use(self, approval: ApprovalId, now: UnixMillis) -> bool:
        """As the port says."""
        with self._lock:
            found = self._approvals.get(approval)
            if found is None or found.canary is not None or found.state_at(now) != "approved":
                return False
            self._approvals[approval] = changed(found, state="used")
            return True

    def all(self, *, pending_only: bool, now: UnixMillis) -> Iterable[Approval]:
        """As the port says."""
        newest_first = reversed(tuple(self._approvals.values()))
        return tuple(a for a in newest_first if not pending_only or a.state_at(now) == "pending")


class MemoryRegistryStore:
    """Port RegistryStore."""

    def __init__(self) -> None:
        self._known = DocumentsInForce()

    @property
    def current(self) -> RegistrySnapshot:
        """As the port says."""
        return self._known.present.snapshot

    @property
    def index(self) -> CapabilityIndex:
        """As the port says."""
        return self._known.present.index

    @property
    def coming(self) -> Coming | None:
        """As the port says."""
        return self._known.coming

    def documents(self) -> dict[str, bytes]:
        """As the port says."""
        return dict(self._known.present.documents)

    def put(self, documents: dict[str, bytes]) -> None:
        """As the port says."""
        self._known.put(in_force(documents))

    def take_over(self, coming: Coming, made: InForce) -> bool:
        """As the port says."""
        return self._known.take_over(coming, made)

    def put_elsewhere(self, documents: dict[str, bytes]) -> None:
        """As if another process that shares it had put these."""
        self._known.see(documents)
