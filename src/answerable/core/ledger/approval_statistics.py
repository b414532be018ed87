"""Count actions, approvals, refusals and stops from ledger entries, by tier and use case: the statistics of what
control costs.

Laws: a figure is a function of the entries below one index and of nothing else, so that counting on equals counting
again; what an entry does not state is counted as not stated; of a drill only its run is counted; all memory is bounded:
past GROUPS_MAX groups the rest is counted as one, past CELLS_MAX the oldest hours are only in the total, and past
QUESTIONS_MAX the oldest question counts as unanswered.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from answerable.core.containment.shadow import is_shadow_name
from answerable.core.ledger.figure_cells import DRILLS, OTHERS, UNSAID, Cell, Group
from answerable.core.ledger.figure_leaves import ActionLeaf, EventLeaf
from answerable.core.ledger.figure_stops import Stop, Stops
from answerable.core.ledger.tags import Tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from answerable.core.ledger.entry import StoredEntry

GROUPS_MAX: Final = 256
CELLS_MAX: Final = 20_000
QUESTIONS_MAX: Final = 20_000
BEGUN_MAX: Final = 20_000
"""Open intents whose group is held in memory; the group of others is read from the log."""
EFFECTS_MAX: Final = 10_000
HOUR_MS: Final = 3_600_000
DRILL: Final = "drill"
"""Source of a hold placed by a drill, which stops nothing but the drill's shadow agent."""
NO_POLICY_CHANGED: Final = "registry"
"""`how` of a policy change in which only the schema that policies are checked against changed."""
TOTAL: Final = -1
"""Key used in place of an hour for the total since the first entry."""

_ENDS: Final = frozenset({"succeeded", "failed", "not_started", "indeterminate"})
_PLAIN: Final[dict[int, str]] = {
    Tag.REVOKED: "revoked",
    Tag.WORKLOAD_ENDED: "ended",
    Tag.HOLD_PLACED: "held",
    Tag.HOLD_LIFTED: "lifted",
    Tag.POLICY_CHANGE: "policy_changes",
    Tag.DRILL: "drills",
}
"""Counter incremented by an entry of this tag; such entries belong to no group."""


class Question(msgspec.Struct, frozen=True, array_like=True):
    """An approval that people have not decided. entry: its ledger index."""

    entry: int
    at: int
    expires: int
    tier: str
    use_case: str


class Effect(NamedTuple):
    """An action that took effect, or may have. entry: index of the entry that records the end."""

    entry: int
    at: int
    group: Group


class Figures:
    """The statistics of one log. entries: all entries below this index are counted, none above. from_hour: events
    before this hour are only in the total."""

    def __init__(self) -> None:
        self.entries = 0
        self.from_hour = 0
        self.effects: list[Effect] = []
        self._cells: dict[int, dict[Group, Cell]] = {TOTAL: {}}
        self._cell_count = 0
        self._questions: dict[str, Question] = {}
        self._begun: dict[int, Group] = {}
        self._begun_kept: set[int] = set()
        self._stops = Stops()
        self._changed: set[str] = set()

    def fold(self, stored: StoredEntry, intent: Callable[[int], StoredEntry]) -> None:
        """Count the next entry. intent: returns an earlier entry of the log by index."""
        self.entries = stored.index + 1
        if stored.tag not in _READ:
            return
        plain = _PLAIN.get(stored.tag)
        try:
            if plain is not None:
                self._happened(stored, _EVENT_DECODER.decode(stored.leaf), plain)
                return
            leaf = _DECODER.decode(stored.leaf)
        except msgspec.MsgspecError:
            # The time is unknown, so the entry is only in the total.
            self._add(0, UNSAID, "unreadable")
            return
        self._count(stored, leaf, intent)

    def was_traced(self, effect: Effect, *, found: bool, micros: int) -> None:
        """Count whether an effect could be traced to the person who answers for it."""
        for cell in self._touched(effect.at, effect.group):
            if found:
                cell.traced += 1
                cell.tracing.add(micros)
            else:
                cell.untraced += 1

    def within(self, since: int, now: int) -> dict[Group, Cell]:
        """Return the figures by group since a time, rounded down to its hour; since the first entry for 0. `unanswered`
        includes approvals that expired by `now`."""
        first = since // HOUR_MS
        hours = [TOTAL] if not since else [hour for hour in self._cells if hour >= first]
        found: dict[Group, Cell] = {}
        for hour in hours:
            for group, cell in self._cells[hour].items():
                found.setdefault(group, Cell()).join(cell)
        for one in self._questions.values():
            if one.expires <= now and (not since or one.expires // HOUR_MS >= first):
                found.setdefault(Group(one.tier, one.use_case), Cell()).unanswered += 1
        return found

    def waiting(self, now: int) -> dict[Group, int]:
        """Return how many approvals people can still answer, by group."""
        found: dict[Group, int] = {}
        for one in self._questions.values():
            if one.expires > now:
                group = Group(one.tier, one.use_case)
                found[group] = found.get(group, 0) + 1
        return found

    # --- counting -----------------------------------------------------------------------------------------

    def _count(self, stored: StoredEntry, leaf: ActionLeaf, intent: Callable[[int], StoredEntry]) -> None:
        group = _group_of(leaf)
        if group == DRILLS and stored.tag != Tag.INTENT:
            return
        match stored.tag:
            case Tag.INTENT:
                if group != DRILLS:
                    self._add(leaf.at, group, "after_approval" if leaf.approval else "alone")
                if len(self._begun) >= BEGUN_MAX:
                    del self._begun[next(iter(self._begun))]
                self._begun[stored.index] = group if group == DRILLS else self._held(group)
            case Tag.OUTCOME | Tag.INDETERMINATE:
                self._ended(stored, leaf, intent)
            case Tag.REFUSAL:
                self._add(leaf.at, group, "refused")
            case Tag.REFUSALS_COUNTED:
                self._add(leaf.at, UNSAID, "counted", _counted(leaf.agents))
            case Tag.APPROVAL_ASKED:
                self._ask(stored.index, leaf, group)
            case Tag.APPROVAL_ANSWER:
                self._answer(leaf)
            case Tag.CANARY_TOLD:
                self._was_test(leaf)
            case Tag.MANDATE_ISSUED:
                self._add(leaf.at, Group("", leaf.use_case), "tasks")

    def _happened(self, stored: StoredEntry, event: EventLeaf, plain: str) -> None:
        if stored.tag == Tag.DRILL:
            self._add(event.at, UNSAID, plain)
            self._add(event.at, UNSAID, "drills_failed", int(not event.passed))
            return
        if stored.tag == Tag.POLICY_CHANGE:
            plain = self._policies(event)
        of_drill = event.source == DRILL or is_shadow_name(event.name) or is_shadow_name(event.agent)
        if not plain or of_drill or event.lifted_at == 0:
            return
        self._add(event.at, UNSAID, plain)
        if stored.tag not in (Tag.REVOKED, Tag.HOLD_PLACED):
            return
        if len(event.in_flight) != event.in_flight_count:
            self._add(event.at, UNSAID, "untimed")
        else:
            left = [one for one in event.in_flight if one in self._begun]
            if left:
                self._changed.update(map(_stop_row, self._stops.began(stored.index, event.since, left)))
            else:
                self._contained(event.at, event.at - event.since if event.in_flight else 0)

    def _contained(self, at: int, after: int) -> None:
        for cell in self._touched(at, UNSAID):
            cell.containing.add(after)

    def _policies(self, event: EventLeaf) -> str:
        """Return the counter of a policy change. The policies with which a log begins changed no earlier decision."""
        if event.how == NO_POLICY_CHANGED:
            return ""
        total = self._cells[TOTAL]
        begun = total.get(UNSAID, Cell()).policies_begun or any(cell.actions for cell in total.values())
        return "policy_changes" if begun else "policies_begun"

    def _ended(self, stored: StoredEntry, leaf: ActionLeaf, intent: Callable[[int], StoredEntry]) -> None:
        group = self._begun.pop(leaf.intent, None)
        touched, contained = self._stops.ended(leaf.intent)
        self._changed.update(map(_stop_row, touched))
        for since in contained:
            self._contained(leaf.at, leaf.at - since)
        if group is None:
            group = UNSAID
            with suppress(msgspec.MsgspecError):
                if 0 <= leaf.intent < stored.index:
                    group = _group_of(_DECODER.decode(intent(leaf.intent).leaf))
        if group == DRILLS:
            return
        if leaf.status not in _ENDS:
            self._add(leaf.at, group, "unreadable")
            return
        self._add(leaf.at, group, leaf.status)
        if leaf.status in ("succeeded", "indeterminate") and len(self.effects) < EFFECTS_MAX:
            self.effects.append(Effect(stored.index, leaf.at, group))

    def _ask(self, index: int, leaf: ActionLeaf, group: Group) -> None:
        self._add(leaf.at, group, "asked")
        if len(self._questions) >= QUESTIONS_MAX:
            oldest = next(iter(self._questions))
            given_up = self._questions.pop(oldest)
            self._changed.add(f"?{oldest}")
            self._add(given_up.expires, Group(given_up.tier, given_up.use_case), "unanswered")
        self._questions[leaf.approval] = Question(index, leaf.at, leaf.expires, *self._held(group))
        self._changed.add(f"?{leaf.approval}")

    def _answer(self, leaf: ActionLeaf) -> None:
        """An answer that leaves the approval pending, because others must answer too, ends no waiting time."""
        if leaf.state not in ("approved", "denied"):
            return
        asked = self._questions.pop(leaf.approval, None)
        if asked is None:
            return
        self._changed.add(f"?{leaf.approval}")
        for cell in self._touched(leaf.at, Group(asked.tier, asked.use_case)):
            if leaf.state == "approved":
                cell.approved += 1
            else:
                cell.denied += 1
            cell.waits.add(leaf.at - asked.at)

    def _was_test(self, leaf: ActionLeaf) -> None:
        """Remove a test from the count of approvals. No agent had made this request, which was unknown until this
        entry."""
        asked = self._questions.pop(leaf.approval, None)
        if asked is not None:
            self._changed.add(f"?{leaf.approval}")
            self._add(asked.at, Group(asked.tier, asked.use_case), "asked", -1)

    def _add(self, at: int, group: Group, name: str, count: int = 1) -> None:
        for cell in self._touched(at, group):
            setattr(cell, name, getattr(cell, name) + count)

    def _touched(self, at: int, group: Group) -> Iterator[Cell]:
        """Yield the cell of the total, and the cell of the hour unless it was dropped."""
        group, hour = self._held(group), at // HOUR_MS
        yield self._cell(TOTAL, group)
        if hour >= self.from_hour and at > 0:
            yield self._cell(hour, group)
            while self._cell_count > CELLS_MAX:
                self._forget(min(hour for hour in self._cells if hour != TOTAL))

    def _held(self, group: Group) -> Group:
        total = self._cells[TOTAL]
        return group if group in total or len(total) < GROUPS_MAX else OTHERS

    def _cell(self, hour: int, group: Group) -> Cell:
        cells = self._cells.setdefault(hour, {})
        cell = cells.get(group)
        if cell is None:
            cell = cells[group] = Cell()
            self._cell_count += hour != TOTAL
        self._changed.add(_place(hour, group))
        return cell

    def _forget(self, hour: int) -> None:
        gone = self._cells.pop(hour)
        self._cell_count -= len(gone)
        self._changed.update(_place(hour, group) for group in gone)
        self.from_hour = hour + 1
        self._changed.add(_FROM)

    # --- keeping ------------------------------------------------------------------------------------------

    def take_changed(self) -> dict[str, bytes | None]:
        """Return the rows that changed since the last call, in the form the register stores; None for a removed row."""
        changed, self._changed = self._changed, set()
        begun = self._begun.keys()
        changed.update(f"+{one}" for one in begun ^ self._begun_kept)
        self._begun_kept = set(begun)
        return {name: self._row(name) for name in changed}

    def put_back(self, changed: Mapping[str, bytes | None]) -> None:
        """Mark rows as changed again because they could not be stored."""
        self._changed.update(changed)

    def _row(self, name: str) -> bytes | None:
        if name == _FROM:
            return _ENCODER.encode(self.from_hour)
        if name.startswith("?"):
            asked = self._questions.get(name[1:])
            return _ENCODER.encode(asked) if asked is not None else None
        if name.startswith("+"):
            group = self._begun.get(int(name[1:]))
            return _ENCODER.encode(group) if group is not None else None
        if name.startswith("#"):
            stop = self._stops.find(int(name[1:]))
            return _ENCODER.encode(stop) if stop is not None else None
        hour, tier, use_case = name.split("/", 2)
        cell = self._cells.get(int(hour), {}).get(Group(tier, use_case))
        return _ENCODER.encode(cell) if cell is not None else None


def restored(rows: Mapping[str, bytes], entries: int) -> Figures | None:
    """Rebuild the statistics from stored rows, up to an entry. None for rows that no version of ours wrote, which are
    then counted again."""
    figures, asked = Figures(), dict[str, Question]()
    begun, stops = dict[int, Group](), dict[int, Stop]()
    try:
        for name, row in rows.items():
            if name == _FROM:
                figures.from_hour = msgspec.json.decode(row, type=int)
            elif name.startswith("?"):
                asked[name[1:]] = msgspec.json.decode(row, type=Question)
            elif name.startswith("+"):
                begun[int(name[1:])] = msgspec.json.decode(row, type=Group)
            elif name.startswith("#"):
                stops[int(name[1:])] = msgspec.json.decode(row, type=Stop)
            else:
                hour, tier, use_case = name.split("/", 2)
                cells = figures._cells.setdefault(int(hour), {})
                cells[Group(tier, use_case)] = msgspec.json.decode(row, type=Cell)
                figures._cell_count += int(hour) != TOTAL
    except (msgspec.MsgspecError, ValueError):
        return None
    figures._questions = dict(sorted(asked.items(), key=lambda one: one[1].entry))
    figures._begun = dict(sorted(begun.items()))
    figures._begun_kept = set(begun)
    figures._stops = Stops(dict(sorted(stops.items())))
    figures.entries = entries
    return figures


_FROM: Final = "!from"
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(ActionLeaf)
_EVENT_DECODER: Final = msgspec.json.Decoder(EventLeaf)
_READ: Final = frozenset(
    {
        Tag.INTENT,
        Tag.OUTCOME,
        Tag.INDETERMINATE,
        Tag.REFUSAL,
        Tag.REFUSALS_COUNTED,
        Tag.APPROVAL_ASKED,
        Tag.APPROVAL_ANSWER,
        Tag.CANARY_TOLD,
        Tag.MANDATE_ISSUED,
        *_PLAIN,
    }
)


def _counted(agents: Mapping[str, int]) -> int:
    return sum(count for agent, count in agents.items() if not is_shadow_name(agent))


def _group_of(leaf: ActionLeaf) -> Group:
    if is_shadow_name(leaf.use_case) or is_shadow_name(leaf.agent):
        return DRILLS
    return Group("" if leaf.tier is None else str(leaf.tier), leaf.use_case)


def _stop_row(entry: int) -> str:
    return f"#{entry}"


def _place(hour: int, group: Group) -> str:
    return f"{hour}/{group.tier}/{group.use_case}"
