"""Check the laws that hold for any ledger and the effects beside it, whatever faults occurred."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from answerable.core.canonical import freeze, parse
from answerable.core.ledger.open_intents import OpenIntents
from answerable.core.ledger.opened import payload_of
from answerable.core.ledger.subject_key import key_id_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.mandate import account_of
from answerable.flows.registry.apply_registry import policy_text
from answerable.testing.builders import compiled_once
from answerable.testing.histories import history_faults
from answerable.verify.citations import Citations
from answerable.verify.leaf_rules import Fault, payload_fault, read_leaf
from answerable.verify.lease_entries import LeaseEntries
from answerable.verify.ledger_replay import replay_entries
from answerable.verify.links import Pairing, Runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from answerable.core.canonical import JSONValue
    from answerable.core.decision.history import History
    from answerable.core.ledger.entry import Receipt, StoredEntry
    from answerable.core.mandate.budget import Amounts
    from answerable.flows.state.parts import AuthorityRegisters, Recorder
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.ports.mandate_register import MandateRegister
    from answerable.ports.subject_keys import SubjectKeys
    from answerable.testing.recording_upstream import Effect

    Members: TypeAlias = dict[str, JSONValue]

Told: TypeAlias = Literal["succeeded", "failed", "not_started", "none", "unknown"]
"""The effect of one attempt as reported to its caller; none: refused, deferred, or reported as not executed."""


@dataclass(slots=True, kw_only=True)
class Promises:
    """What callers were promised. receipts: entries reported as durable, with their type. told: reported effects by
    attempt."""

    receipts: list[tuple[Receipt | int, Tag]] = field(default_factory=list)
    told: dict[int, Told] = field(default_factory=dict)


def broken_laws(
    entries: Sequence[StoredEntry],
    effects: Sequence[Effect],
    mandates: MandateRegister,
    *,
    subject_keys: SubjectKeys,
    promises: Promises,
    happened: dict[int, int],
) -> list[str]:
    """Return one line for each violated law. happened: number of effects by attempt."""
    leaves = {stored.index: _leaf(stored) for stored in entries}
    intents = {s.index: leaves[s.index] for s in entries if s.tag == Tag.INTENT}
    fields = {s.index: payload_of(s, leaves[s.index], subject_keys.find) or {} for s in entries}
    return [
        *_readable(entries),
        *_decisions(entries, subject_keys),
        *_effects(effects, intents, fields),
        *_ends(entries, leaves, effects),
        *_actions(entries, leaves, fields, subject_keys),
        *_approvals(entries, leaves, intents, fields),
        *_budgets(entries, leaves, intents, mandates),
        *_promises(entries, promises, happened),
    ]


def _leaf(stored: StoredEntry) -> Members:
    leaf = parse(stored.leaf)
    assert isinstance(leaf, dict)  # noqa: S101 - we wrote it
    return leaf


def _readable(entries: Sequence[StoredEntry]) -> Iterable[str]:
    """Check what any verifier checks: shapes, commitments, that every intent has one end and refers to entries before
    it, and that no run has a gap."""
    pairing, runs, citations, leases = Pairing(), Runs(), Citations(), LeaseEntries()
    for stored in entries:
        leaf = read_leaf(stored.leaf)
        if isinstance(leaf, Fault):
            yield f"entry {stored.index}: {leaf.message}"
            continue
        for fault in (
            pairing.fault(stored.index, leaf, stored.leaf_hash),
            runs.fault(stored.index, leaf, stored.leaf_hash),
            citations.fault(stored.index, leaf, stored.leaf_hash),
            leases.fault(stored.index, leaf),
            payload_fault(leaf, stored.attachment),
        ):
            if fault is not None:
                yield f"entry {stored.index}: {fault.message}"
    total, still_open = pairing.open_intents()
    if total:
        yield f"{total} intents have no end, the first at {still_open[0].index}"


def _decisions(entries: Sequence[StoredEntry], subject_keys: SubjectKeys) -> Iterable[str]:
    """Check that every decision is reproduced as recorded. All keys exist, so nothing is erased; values that an
    obligation stores as digests, and policy sets that came into force without an entry, are not disclosed."""
    for one in replay_entries(entries, subject_keys.find):
        if one.verdict not in ("same", "not_asked", "not_disclosed"):
            yield f"entry {one.index}: decided again it is {one.verdict}: {one.text}"


def _effects(
    effects: Sequence[Effect], intents: dict[int, Members], fields: dict[int, Members]
) -> Iterable[str]:
    keys = [effect.key for effect in effects]
    if len(set(keys)) < len(keys):
        yield "an idempotency key was effected twice"
    for effect in effects:
        intent = intents.get(effect.intent)
        said = fields[effect.intent].get("digest") if intent is not None else None
        if intent is None or (intent.get("key", intent["action"]), said) != (effect.key, effect.digest):
            yield f"effect {effect.key} does not have the intent at {effect.intent}"


def _ends(
    entries: Sequence[StoredEntry], leaves: dict[int, Members], effects: Sequence[Effect]
) -> Iterable[str]:
    effected = {effect.intent for effect in effects}
    for stored in entries:
        leaf = leaves[stored.index]
        if stored.tag == Tag.OUTCOME and (leaf["status"] == "not_started") == (leaf["intent"] in effected):
            yield f"intent {leaf['intent']} is said to be {leaf['status']}, which is not what happened"


def _actions(
    entries: Sequence[StoredEntry],
    leaves: dict[int, Members],
    fields: dict[int, Members],
    subject_keys: SubjectKeys,
) -> Iterable[str]:
    """Check that the recorded action is the one that was frozen and that the leaf names, and that fields can be
    opened."""
    for stored in entries:
        said = fields[stored.index]
        if stored.attachment and not said:
            yield f"entry {stored.index} has fields that nobody can open"
        elif "action" in said:
            frozen, key = freeze(said["action"]), subject_keys.find(key_id_of(stored.attachment))
            named = key.pseudonym(b"action", frozen.digest) if key is not None else ""
            if (said["digest"], leaves[stored.index]["digest"]) != (frozen.hex, named):
                yield f"entry {stored.index} shows another action than the one that was frozen"


def _approvals(
    entries: Sequence[StoredEntry],
    leaves: dict[int, Members],
    intents: dict[int, Members],
    fields: dict[int, Members],
) -> Iterable[str]:
    asked = {leaves[s.index]["approval"]: leaves[s.index] for s in entries if s.tag == Tag.APPROVAL_ASKED}
    approved: dict[JSONValue, set[JSONValue]] = {}
    used: set[JSONValue] = set()
    for stored in entries:
        leaf = leaves[stored.index]
        if stored.tag == Tag.APPROVAL_ANSWER and leaf["verdict"] == "approve":
            approved.setdefault(leaf["approval"], set()).add(leaf["person"])
        if stored.index not in intents:
            continue
        action = fields[stored.index].get("action")
        yield from _one_approval(stored.index, leaf, action, asked, approved, used)


def _one_approval(
    index: int,
    leaf: Members,
    action: JSONValue,
    asked: dict[JSONValue, Members],
    approved: dict[JSONValue, set[JSONValue]],
    used: set[JSONValue],
) -> Iterable[str]:
    approval = leaf.get("approval", "")
    match action:
        case {"arguments": {"amount": int(amount)}}:
            if amount > 1_000_000 or (amount > 5000 and not approval):
                yield f"intent {index} refunds {amount} without what that takes"
    if not approval:
        return
    if approval in used:
        yield f"approval {approval} was used twice"
    used.add(approval)
    question = asked.get(approval)
    if question is None or any(question[name] != leaf[name] for name in ("agent", "mandate", "digest")):
        yield f"approval {approval} was not asked for intent {index}"
        return
    people = approved.get(approval, set()) - {question["principal"]}
    for requirement in cast("list[tuple[str, int]]", question["requirements"]):
        if len(people) < requirement[1]:
            yield f"intent {index} ran with {len(people)} approvals, it takes {requirement[1]}"


def _budgets(
    entries: Sequence[StoredEntry],
    leaves: dict[int, Members],
    intents: dict[int, Members],
    mandates: MandateRegister,
) -> Iterable[str]:
    limits = {str(one.id): account_of(one).limits for one in mandates.all()}
    spent, faults = _spent_by(entries, leaves, limits)
    yield from faults
    for mandate in mandates.all():
        begun = [index for index, leaf in intents.items() if leaf["mandate"] == mandate.id]
        used, counted = dict(mandates.used(mandate.id)), spent.get(mandate.id, {})
        if {name: amount for name, amount in used.items() if amount} != {
            name: amount for name, amount in counted.items() if amount
        }:
            yield f"{used} of mandate {mandate.id} count as used, the log says {counted}"
        closed = [
            s.index
            for s in entries
            if s.tag == Tag.MANDATE_CLOSED and leaves[s.index]["mandate"] == mandate.id
        ]
        if closed and begun and max(begun) > min(closed):
            yield f"mandate {mandate.id} was used after it was closed"


def spent_now(entries: Sequence[StoredEntry]) -> dict[str, dict[str, int]]:
    """Return the used amounts by these entries, by account and budget."""
    return _spent_by(entries, {stored.index: _leaf(stored) for stored in entries}, {})[0]


def _spent_by(
    entries: Sequence[StoredEntry], leaves: dict[int, Members], limits: Mapping[str, Amounts]
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return the used amounts by the log, by account and budget, and reservations that alone exceeded a limit.

    Counted independently of the product: entry by entry, at each of which no account may have more reserved than its
    limit. Use beyond a reservation is in the sums, and is no fault of the reservations.
    """
    held: dict[tuple[str, str], int] = {}
    over: dict[tuple[str, str], int] = {}
    faults: list[str] = []
    for stored in entries:
        leaf = leaves[stored.index]
        if stored.tag not in (Tag.INTENT, Tag.OUTCOME, Tag.INDETERMINATE):
            continue
        begun = leaf if stored.tag == Tag.INTENT else leaves.get(cast("int", leaf["intent"]), {})
        if "mandate" not in begun:
            continue  # The end of no intent: another law reports it.
        accounts = [begun["mandate"], *cast("list[str]", begun.get("accounts", []))]
        for account in cast("list[str]", accounts):
            for name, amount in _amounts(begun, "reserved", stored.tag == Tag.INTENT):
                place = account, name
                held[place] = held.get(place, 0) + amount
                if held[place] > limits.get(account, {}).get(name, held[place]):
                    faults.append(f"entry {stored.index}: {held[place]} {name} are reserved of {account}")
            for name, amount in _amounts(leaf, "returned", stored.tag == Tag.OUTCOME):
                held[account, name] = held.get((account, name), 0) - amount
            for name, amount in _amounts(leaf, "overrun", stored.tag == Tag.OUTCOME):
                over[account, name] = over.get((account, name), 0) + amount
    spent: dict[str, dict[str, int]] = {}
    for sums in (held, over):
        for (account, name), amount in sums.items():
            spent.setdefault(account, {})[name] = spent.setdefault(account, {}).get(name, 0) + amount
    return spent, faults


def _amounts(leaf: Members, name: str, wanted: bool) -> Iterable[tuple[str, int]]:
    """Return the amounts in a leaf. An intent without the member took one call, an outcome without it nothing."""
    if not wanted:
        return ()
    default = {"calls": 1} if name == "reserved" else {}
    return cast("dict[str, int]", leaf.get(name, default)).items()


def _promises(entries: Sequence[StoredEntry], promises: Promises, happened: dict[int, int]) -> Iterable[str]:
    stored = {one.index: one for one in entries}
    for receipt, tag in promises.receipts:
        index = receipt if isinstance(receipt, int) else receipt.index
        found = stored.get(index)
        if found is None or found.tag != tag:
            yield f"entry {index} of type {tag.name} was promised and is not there"
        elif not isinstance(receipt, int) and found.leaf_hash != receipt.leaf_hash:
            yield f"entry {index} is another than was promised"
    for attempt, told in promises.told.items():
        count = happened.get(attempt, 0)
        if told in ("none", "not_started") and count:
            yield f"attempt {attempt} was told that nothing happened, and {count} effects did"
        if told in ("succeeded", "failed") and count != 1:
            yield f"attempt {attempt} was told {told}, and {count} effects happened"
    for attempt, count in happened.items():
        if count > 1:
            yield f"attempt {attempt} had {count} effects"


def disagreements(
    recorder: Recorder,
    authority: AuthorityRegisters,
    history: History,
    policies: PolicyState,
    agents: Sequence[str],
    *,
    poisoned: bool,
) -> list[str]:
    """Return differences between a surviving process's memory and what a new process would find. poisoned: the
    process's log refuses entries after a failed write: only a restart can tell what is on disk then, and nothing can be
    started before."""
    found: list[str] = []
    expected = compiled_once(policy_text(authority.registry.current), authority.registry.current)
    if expected.policy_set != policies.decision_point.policy_set:
        found.append("the policies in force are not those of the registry in force")
    if poisoned:
        return found
    spent = spent_now(list(recorder.ledger.replay()))
    for mandate in authority.mandates.all():
        used, counted = dict(authority.mandates.used(mandate.id)), spent.get(mandate.id, {})
        if any(used.get(one, 0) != counted.get(one, 0) for one in used.keys() | counted.keys()):
            found.append(f"{used} of {mandate.id} count as used, the log says {counted}")
    found += history_faults(recorder, authority, history, agents)
    # Computed from the entries, because the ledger's own answer may date from its opening.
    entries = OpenIntents()
    for stored in recorder.ledger.replay():
        entries.saw(stored.leaf, stored.index, 0, 0)
    remembered, are_open = set(recorder.open_intents), {one.entry for one in entries.all()}
    if remembered != are_open:
        found.append(f"{remembered} count as open, {are_open} are")
    return found
