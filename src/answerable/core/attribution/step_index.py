"""Find recorded steps, in memory, from one pass over the entries of a ledger."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from answerable.core.attribution.step import Step
from answerable.core.lease.name import LeaseName, account_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue

_Key = TypeVar("_Key", str, tuple[str, str])


class StepIndex:
    """Implements `StepLookup`. Promises: nothing of an entry that is malformed is guessed; what it lacks is empty."""

    def __init__(
        self, entries: Iterable[tuple[int, Mapping[str, JSONValue]]], *, complete_until: int = 0
    ) -> None:
        """entries: index and leaf, in order. complete_until: Unix milliseconds up to which nothing is missing; the time
        of the last entry where that is later."""
        steps: dict[int, Step] = {}
        leases: dict[str, Mapping[str, Any]] = {}
        self._until = complete_until
        for index, leaf in entries:
            tag = leaf.get("tag")
            at = leaf.get("at")
            self._until = max(self._until, at if type(at) is int else 0)
            if tag == Tag.INTENT:
                step = _begun(index, leaf)
                if step is not None:
                    steps[index] = step
            elif tag in (Tag.OUTCOME, Tag.INDETERMINATE):
                intent = leaf.get("intent")
                if type(intent) is int and intent in steps:
                    steps[intent] = _ended(steps[intent], leaf)
            elif tag == Tag.LEASE:
                leases[_text(leaf, "lease")] = leaf
        self._all = tuple(_leased(one, leases.get(one.lease, {})) for one in steps.values())
        self._actions = {one.action: one for one in self._all}
        self._leases = _grouped((one.lease, one) for one in self._all)
        self._accounts = _grouped((one.account, one) for one in self._all)
        self._kinds: dict[str, set[str]] = defaultdict(set)
        for one in self._all:
            self._kinds[one.target] |= one.kinds
        self._sessions = _grouped((key, one) for one in self._all for key in one.session.items())

    def __iter__(self) -> Iterator[Step]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def complete_until(self) -> int:
        return self._until

    def by_action(self, action: str) -> Step | None:
        return self._actions.get(action)

    def by_lease(self, lease: str) -> Sequence[Step]:
        return self._leases.get(lease, ())

    def by_session(self, name: str, value: str) -> Sequence[Step]:
        return self._sessions.get((name, value), ())

    def kinds_of(self, step: Step) -> Collection[str]:
        return step.kinds or self._kinds.get(step.target, ())

    def by_account(self, account: str) -> Sequence[Step]:
        return self._accounts.get(account, ())


def _begun(index: int, leaf: Mapping[str, Any]) -> Step | None:
    """Return the step of an intent; None for an action without a lease, which leaves nothing that a target could
    name."""
    lease = _text(leaf, "lease")
    decision = leaf.get("decision")
    decision = decision if isinstance(decision, dict) else {}
    hops = leaf.get("hops")
    if not lease:
        return None
    return Step(
        entry=index,
        action=_text(leaf, "action"),
        agent=_text(leaf, "agent"),
        chain=tuple(_text(hop, "agent") for hop in hops if isinstance(hop, dict))
        if isinstance(hops, list)
        else (),
        person=_text(leaf, "principal"),
        mandate=_text(leaf, "mandate"),
        use_case=_text(leaf, "use_case"),
        capability=_text(leaf, "capability"),
        decided_by=tuple(str(one) for one in decision.get("by") or ()),
        policy_set=_text(decision, "policy_set"),
        approval=_text(leaf, "approval"),
        lease=lease,
        target=_text(leaf, "lease_target"),
        account="",
        started=_number(leaf, "at"),
        deadline=_number(leaf, "deadline"),
    )


def _ended(step: Step, leaf: Mapping[str, Any]) -> Step:
    session = leaf.get("session")
    known = session if isinstance(session, dict) else {}
    return structs.replace(
        step,
        ended=_number(leaf, "at"),
        status=_text(leaf, "status"),
        session={name: value for name, value in known.items() if isinstance(value, str)},
    )


def _leased(step: Step, lease: Mapping[str, Any]) -> Step:
    ended, live = _number(lease, "ended_at"), _number(lease, "live_until")
    until = max(ended, live) if ended else _number(lease, "expires_at")
    # A broker names accounts after leases where the target has accounts for them at all.
    account = _text(lease, "account") or account_of(LeaseName(step.lease))
    return structs.replace(step, account=account, life_until=until)


def _grouped(pairs: Iterable[tuple[_Key, Step]]) -> dict[_Key, list[Step]]:
    found: dict[_Key, list[Step]] = defaultdict(list)
    for key, step in pairs:
        found[key].append(step)
    return dict(found)


def _text(leaf: Mapping[str, Any], name: str) -> str:
    value = leaf.get(name)
    return value if isinstance(value, str) else ""


def _number(leaf: Mapping[str, Any], name: str) -> int:
    value = leaf.get(name)
    return value if type(value) is int else 0
