"""Find recorded steps, in memory, from the entries of a ledger, one after the other."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from answerable.core.attribution.step import Step
from answerable.core.lease.name import LeaseName, account_of
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from answerable.core.canonical import JSONValue

    _Place = tuple[str, object]

_TABLES: Final = ("lease", "account", "target", "session")


class _Life(NamedTuple):
    """What the last entry of a lease says. until: when it ended or ends; 0 where unknown."""

    account: str
    until: int


class StepIndex:
    """Implements `StepLookup`. Promises: nothing of an entry that is malformed is guessed; what it lacks is empty.

    known_from: Unix milliseconds; of what ended before, steps were forgotten.
    """

    def __init__(
        self, entries: Iterable[tuple[int, Mapping[str, JSONValue]]] = (), *, complete_until: int = 0
    ) -> None:
        """entries: index and leaf, in order. complete_until: Unix milliseconds up to which nothing is missing; the time
        of the last entry where that is later."""
        self.known_from = 0
        self._steps: dict[int, Step] = {}
        self._lives: dict[str, _Life] = {}
        self._until = complete_until
        self._actions: dict[str, int] = {}
        self._tables: dict[str, defaultdict[object, list[int]]] = {one: defaultdict(list) for one in _TABLES}
        self._kinds: defaultdict[str, set[str]] = defaultdict(set)
        for index, leaf in entries:
            self.take(index, leaf)

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps.values())

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def complete_until(self) -> int:
        return self._until

    def take(self, index: int, leaf: Mapping[str, JSONValue]) -> None:
        """Take in the entry after those before."""
        tag, at = leaf.get("tag"), leaf.get("at")
        self.complete(at if type(at) is int else 0)
        if tag == Tag.INTENT:
            step = _begun(index, leaf)
            if step is not None:
                self._add(_leased(step, self._lives.get(step.lease)))
        elif tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            intent = leaf.get("intent")
            if type(intent) is int and intent in self._steps:
                self._change(_ended(self._steps[intent], index, leaf))
        elif tag == Tag.LEASE:
            name, life = _text(leaf, "lease"), _life(leaf)
            self._lives[name] = life
            for entry in [*self._tables["lease"].get(name, ())]:
                self._change(_leased(self._steps[entry], life))

    def complete(self, until: int) -> None:
        """Note that nothing is missing up to this time."""
        self._until = max(self._until, until)

    def forget(self, before: int) -> None:
        """Forget the steps that ended before this time, with their leases."""
        for step in [one for one in self._steps.values() if max(one.until, one.life_until) < before]:
            del self._steps[step.entry]
            self._actions.pop(step.action, None)
            self._leave(step, _places(step))
        used = self._tables["lease"]
        self._lives = {
            name: life for name, life in self._lives.items() if name in used or life.until >= before
        }
        self.known_from = max(self.known_from, before)

    def by_action(self, action: str) -> Step | None:
        entry = self._actions.get(action)
        return None if entry is None else self._steps[entry]

    def by_lease(self, lease: str) -> Sequence[Step]:
        return self._found("lease", lease)

    def by_session(self, name: str, value: str) -> Sequence[Step]:
        return self._found("session", (name, value))

    def kinds_of(self, step: Step) -> Collection[str]:
        return step.kinds or self._kinds.get(step.target, ())

    def by_account(self, account: str) -> Sequence[Step]:
        return self._found("account", account)

    def at_target(self, target: str, *, after: int) -> Iterator[Step]:
        """Yield the steps at a target whose entry is after this one, in the order of the ledger."""
        entries = self._tables["target"].get(target, [])
        return (self._steps[entry] for entry in entries[bisect_right(entries, after) :])

    def _found(self, table: str, key: object) -> Sequence[Step]:
        entries = self._tables[table].get(key)
        return [self._steps[entry] for entry in entries] if entries else ()

    def _add(self, step: Step) -> None:
        self._steps[step.entry] = step
        self._actions[step.action] = step.entry
        self._enter(step, _places(step))

    def _change(self, step: Step) -> None:
        before, after = _places(self._steps[step.entry]), _places(step)
        self._steps[step.entry] = step
        self._leave(step, before - after)
        self._enter(step, after - before)

    def _enter(self, step: Step, places: Iterable[_Place]) -> None:
        for table, key in places:
            insort(self._tables[table][key], step.entry)
        self._kinds[step.target] |= step.kinds

    def _leave(self, step: Step, places: Iterable[_Place]) -> None:
        for table, key in places:
            found = self._tables[table]
            found[key].remove(step.entry)
            if not found[key]:
                del found[key]


def _places(step: Step) -> set[_Place]:
    """Return under which key each table has the step."""
    sessions: set[_Place] = {("session", one) for one in step.session.items()}
    return {("lease", step.lease), ("account", step.account), ("target", step.target)} | sessions


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


def _ended(step: Step, index: int, leaf: Mapping[str, Any]) -> Step:
    session = leaf.get("session")
    known = session if isinstance(session, dict) else {}
    return structs.replace(
        step,
        ended=_number(leaf, "at"),
        outcome=index,
        status=_text(leaf, "status"),
        session={name: value for name, value in known.items() if isinstance(value, str)},
    )


def _life(leaf: Mapping[str, Any]) -> _Life:
    ended, live = _number(leaf, "ended_at"), _number(leaf, "live_until")
    return _Life(_text(leaf, "account"), max(ended, live) if ended else _number(leaf, "expires_at"))


def _leased(step: Step, life: _Life | None) -> Step:
    account, until = life or ("", 0)
    # A broker names accounts after leases where the target has accounts for them at all.
    return structs.replace(step, account=account or account_of(LeaseName(step.lease)), life_until=until)


def _text(leaf: Mapping[str, Any], name: str) -> str:
    value = leaf.get(name)
    return value if isinstance(value, str) else ""


def _number(leaf: Mapping[str, Any], name: str) -> int:
    value = leaf.get(name)
    return value if type(value) is int else 0
