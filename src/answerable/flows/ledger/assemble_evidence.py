"""Assemble an evidence bundle: selected entries with inclusion proofs, and those of their sealed fields that are
disclosed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.core.evidence.bundle import ENTRIES_MAX, Bundle, EvidenceEntry
from answerable.core.ledger.entry import FIRST_LEAF_VERSION
from answerable.core.ledger.opened import disclosures_of, leaf_of
from answerable.core.ledger.records_delegation import KIND
from answerable.core.ledger.tags import Tag
from answerable.core.tlog.checkpoint import Checkpoint
from answerable.core.tlog.note import Note
from answerable.core.tlog.policy import Policy, parse_policy, verified_checkpoint_under
from answerable.core.tlog.proof import TlogProof
from answerable.errors import Unverified, shown
from answerable.errors.codes.ledger import (
    EVIDENCE_ENTRIES,
    EVIDENCE_NOTHING,
    EVIDENCE_REVEAL,
    EVIDENCE_UNSIGNED,
    LEDGER_UNREADABLE,
)
from answerable.flows.ledger.keys_in_evidence import (
    NAMING,
    SHOWS_NAME,
    KeysInEvidence,
    shows_keys_of,
    signer_in,
)
from answerable.verify.decision_replay import DECIDED, shown_for_replay
from answerable.verify.ledger_replay import STATED
from answerable.verify.replay_statements import digest_in, hop_places
from answerable.verify.stated_before import stated_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.canonical import JSONValue
    from answerable.core.ledger.disclosure import Disclosure
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.tlog.note import VerifierKey
    from answerable.ports.published_log import PublishedLog
    from answerable.verify.stated_before import StatedName

REVEALS_MAX: Final = 1000
_ENDS: Final = (Tag.OUTCOME, Tag.INDETERMINATE)
_APPROVALS: Final = (
    Tag.APPROVAL_ASKED,
    Tag.APPROVAL_ANSWER,
    Tag.APPROVAL_VOID,
    Tag.CANARY_TOLD,
    Tag.GLASS_REVIEWED,
)
_REFERENCES: Final = (
    "mandate_ref",
    "policy_ref",
    "tool_ref",
    "prepared_ref",
    "consent",
    "duty_ref",
    "keys_ref",
    "change",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A finished evidence bundle. withheld: entries with requested fields that could not be opened. witnessed: whether
    the quorum of the enclosed policy has cosigned its entries; also true where no quorum is required."""

    bundle: bytes
    origin: str
    size: int
    entries: tuple[int, ...]
    shown: int
    withheld: tuple[int, ...]
    witnessed: bool


class Selection:
    """The entries wanted: by index, or all of an action or of a mandate."""

    def __init__(
        self, *, indexes: Iterable[int] = (), action: str = "", mandate: str = "", replay: bool = False
    ) -> None:
        """replay: include what is needed to evaluate the decisions again. Raises Malformed (`evidence.nothing`) when
        nothing is selected."""
        self.indexes = frozenset(indexes)
        self.replay = replay
        self.action, self.mandate = action, mandate
        self.chosen: dict[int, StoredEntry] = {}
        self._of_approvals: dict[str, list[int]] = {}
        self._of_duties: dict[str, list[int]] = {}
        self._of_workflows: dict[str, int] = {}
        self._leases: set[JSONValue] = set()
        self._change = -1
        self._of_people: dict[str, list[int]] = {}
        self._stated: dict[StatedName, int] = {}
        self._keys = KeysInEvidence()
        if not (self.indexes or self.action or self.mandate):
            raise EVIDENCE_NOTHING("name the entries, the action or the mandate")

    @property
    def needs_all(self) -> bool:
        """Whether all entries must be taken, in order, and not only those of `indexes`."""
        return bool(self.action or self.mandate or self.replay)

    def take(self, stored: StoredEntry) -> None:
        """Consider the next entry. Raises Malformed (`evidence.entries`) when too many are chosen."""
        if self.replay:
            self._note_stated(stored)
        if self.needs_all:
            self._keys.take(stored)
        if stored.index in self.indexes or (self.needs_all and self._is_about(stored)):
            self.chosen[stored.index] = stored
            if stored.tag == Tag.INTENT and self.needs_all:
                # The entries of its lease come later.
                self._leases.add(leaf_of(stored).get("lease"))
        elif self.action and stored.tag in _APPROVALS:
            # The entry of the action that the approval was requested for comes later.
            self._of_approvals.setdefault(str(leaf_of(stored).get("approval")), []).append(stored.index)
        if stored.tag == Tag.DUTY:
            duty = leaf_of(stored)
            of_duty = self._of_duties.setdefault(str(duty.get("delegation")), [])
            of_duty += [*self._of_people.get(str(duty.get("of")), ()), stored.index]
        elif stored.tag == Tag.REGISTRY_CHANGE and self.needs_all:
            self._note_workflows(stored)
        elif stored.tag == Tag.PASSKEY and self.needs_all:
            self._note_passkey(leaf_of(stored), stored.index)
        elif stored.tag == Tag.GLASS_REVIEWED and self.needs_all:
            self._note_signer(leaf_of(stored))
        elif stored.tag in (Tag.APPROVAL_ANSWER, Tag.CANARY_TOLD) and self.needs_all:
            leaf = leaf_of(stored)
            self._note_deputy(leaf)
            self._note_signer(leaf)
        if len(self.chosen) > ENTRIES_MAX:
            raise EVIDENCE_ENTRIES(f"more than {ENTRIES_MAX} entries belong to the selection: narrow it")

    def entries(self) -> set[int]:
        """Return the chosen entries, with those needed to understand them: the intents of ends, and the approvals of
        intents. Empty where nothing is chosen."""
        found = {*self.chosen}
        for stored in self.chosen.values():
            leaf = leaf_of(stored)
            intent = leaf.get("intent") if stored.tag in _ENDS else None
            if type(intent) is int:
                found.add(intent)
            found.update(self._of_approvals.get(str(leaf.get("approval")), ()))
            if self.replay and stored.tag in DECIDED:
                named: list[StatedName] = [
                    ("policy_set", digest_in(leaf)),
                    ("mandate", str(leaf.get("mandate"))),
                    *((KIND, *place) for place in hop_places(leaf)),
                ]
                found.update(self._stated[name] for name in named if name in self._stated)
        return found | self._keys.of(found)

    def _note_deputy(self, leaf: dict[str, JSONValue]) -> None:
        """Add to a deputy's or workflow's answer every entry about the delegation, also its end, and the workflow's
        document."""
        document = self._of_workflows.get(str(leaf.get("workflow")))
        if document is not None:
            # The document then in force says whose key signed; the last registry change proves that it was still in
            # force.
            self._of_approvals.setdefault(str(leaf.get("approval")), []).extend((document, self._change))
        duty = leaf.get("duty")
        given = self._of_duties.get(str(duty.get("delegation"))) if isinstance(duty, dict) else None
        if given is not None:
            self._of_approvals.setdefault(str(leaf.get("approval")), []).extend(given)

    def _note_signer(self, leaf: dict[str, JSONValue]) -> None:
        """Add the passkeys of the person that may have signed an answer or a review."""
        passkeys = self._of_people.get(str(leaf.get("person")), ())
        self._of_approvals.setdefault(str(leaf.get("approval")), []).extend(passkeys)

    def _note_workflows(self, stored: StoredEntry) -> None:
        """Note the latest entry with the document of each workflow, and the last registry change."""
        self._change = stored.index
        named = leaf_of(stored).get("workflows")
        for name in named if isinstance(named, list) else ():
            self._of_workflows[str(name)] = stored.index

    def _note_passkey(self, leaf: dict[str, JSONValue], index: int) -> None:
        if leaf.get("change") == "added":
            self._of_people.setdefault(str(leaf.get("person")), []).append(index)

    def _note_stated(self, stored: StoredEntry) -> None:
        """Note the entries of policy sets and mandates: a denial may name one that no entry has referred to yet."""
        if stored.tag in STATED:
            self._stated.setdefault(stated_name(stored), stored.index)

    def _is_about(self, stored: StoredEntry) -> bool:
        leaf = leaf_of(stored)
        if stored.tag in _ENDS:
            return leaf.get("intent") in self.chosen
        if stored.tag == Tag.LEASE and leaf.get("lease") in self._leases:
            return True
        if self.mandate and leaf.get("mandate") == self.mandate:
            return True
        if self.mandate and stored.tag == Tag.CITED:
            return (leaf.get("kind"), leaf.get("name")) == ("mandate", self.mandate)
        if stored.tag == Tag.APPROVAL_ASKED and leaf.get("approval") == self.action:
            return bool(self.action)
        return bool(self.action) and leaf.get("action") == self.action


def assemble_evidence(
    selected: Iterable[int],
    *,
    replay: bool,
    reveal: Iterable[str],
    entry: Callable[[int], StoredEntry],
    published: PublishedLog,
    find: FindKey,
    policy: str,
) -> Evidence:
    """Assemble the bundle of the entries of a selection, the entries they refer to, and the log's first entry.

    replay: disclose what is needed to evaluate the decisions again. reveal: fields to disclose, `name` for every entry
    that has it or `index:name` for one. entry: reads one entry. policy: a tlog-policy (C2SP), left out where it does
    not name this log; empty for none. Blocks while it reads.

    Raises Malformed: `evidence.nothing`, `evidence.entries`, `evidence.reveal` for a field that no entry has,
    `evidence.unsigned` for entries that no checkpoint covers yet; Unavailable and Broken as the port does.
    """
    chosen = {index: entry(index) for index in selected}
    if not chosen:
        raise EVIDENCE_NOTHING("no ledger entry belongs to the selection")
    wanted = {0, *_referred(chosen.values())} - chosen.keys()
    while wanted:
        # References continue: an intent refers to its hops, and a hop to its consent. They always point backwards.
        found = {index: entry(index) for index in wanted}
        chosen |= found
        wanted = _referred(found.values()) - chosen.keys()
    note = _checkpoint_over(max(chosen), published)
    asked = _Asked(reveal, find, replay=replay, entries=chosen.values())
    entries = tuple(
        EvidenceEntry(
            index=index,
            leaf=stored.leaf,
            hashes=TlogProof.parse(published.inclusion_proof(index, note).encode()).hashes,
            disclosures=asked.of(stored),
        )
        for index, stored in sorted(chosen.items())
    )
    asked.require_all_found()
    checkpoint = Checkpoint.parse(Note.parse(note).text)
    keys, own = _trusted(published, policy, checkpoint.origin)
    bundle = Bundle(checkpoint=note, keys=keys, policy=own, entries=entries)
    return Evidence(
        bundle=bundle.encoded(),
        origin=checkpoint.origin,
        size=checkpoint.size,
        entries=tuple(sorted(chosen)),
        shown=sum(len(one.disclosures) for one in entries),
        withheld=tuple(asked.withheld),
        witnessed=own is None or _is_met(note, own, checkpoint.origin, keys),
    )


class _Asked:
    """The fields to disclose."""

    def __init__(
        self, reveal: Iterable[str], find: FindKey, *, replay: bool, entries: Iterable[StoredEntry]
    ) -> None:
        """entries: all of the bundle."""
        self._find, self._replay = find, replay
        self._found: dict[str, bool] = dict.fromkeys(reveal, False)
        self._signers = {
            signer_in(one) for one in entries if any(self._named(one.index, name) for name in SHOWS_NAME)
        }
        """Pseudonyms of the persons whose names are disclosed anyway, in what they signed."""
        self.withheld: list[int] = []
        if len(self._found) > REVEALS_MAX:
            raise EVIDENCE_REVEAL(f"expected at most {REVEALS_MAX} fields to reveal")

    def of(self, stored: StoredEntry) -> tuple[Disclosure, ...]:
        """Return the fields of one entry to disclose, in order of their digests."""
        leaf = leaf_of(stored)
        again = shown_for_replay(stored.tag, leaf) if self._replay else frozenset()
        if not (self._found or again) or not stored.attachment or leaf.get("v") == FIRST_LEAF_VERSION:
            return ()
        fields = disclosures_of(stored, self._find)
        if fields is None:
            self.withheld.append(stored.index)
            return ()
        wanted = []
        for one in fields:
            names = self._named(stored.index, one.name)
            self._found.update(dict.fromkeys(names, True))
            if names or one.name in again:
                wanted.append(one)
        if stored.tag in NAMING:
            wanted += [one for one in shows_keys_of(self._signers, fields) if one not in wanted]
        return tuple(sorted(wanted, key=lambda one: one.digest))

    def _named(self, index: int, field: str) -> list[str]:
        """Return the names by which a field of an entry was asked for; none if it was not."""
        return [name for name in (field, f"{index}:{field}") if name in self._found]

    def require_all_found(self) -> None:
        """Raises Malformed for a requested field that no entry has, so that a typing error is not taken for a sealed
        field."""
        lacking = [name for name, found in self._found.items() if not found]
        if lacking and not self.withheld:
            raise EVIDENCE_REVEAL(f"none of the selected entries has the field {shown(lacking[0])}")


def _referred(chosen: Iterable[StoredEntry]) -> set[int]:
    found = set()
    for stored in chosen:
        leaf = leaf_of(stored)
        began = leaf.get("intent") if stored.tag in _ENDS else None
        if type(began) is int:
            # For a prepared object, the reference is to the end of the preparing action; who requested it is in its
            # intent.
            found.add(began)
        for member in _REFERENCES:
            index = _entry_of(leaf.get(member))
            if index is not None:
                found.add(index)
        hops = leaf.get("hops")
        for hop in hops if isinstance(hops, list) else ():
            index = _entry_of(hop)
            if index is not None:  # A refusal names its hops by id alone.
                found.add(index)
    return found


def _entry_of(reference: JSONValue) -> int | None:
    """Return the index that a reference to an entry of the same log names, in either form."""
    if type(reference) is int:
        return reference
    if not isinstance(reference, dict) or "log" in reference:
        return None
    index = reference.get("entry")
    return index if type(index) is int else None


def _checkpoint_over(index: int, published: PublishedLog) -> bytes:
    """Return the newest cosigned checkpoint if it covers the entry, otherwise the newest checkpoint."""
    for note in (published.cosigned(), published.checkpoint()):
        if note is not None and Checkpoint.parse(Note.parse(note).text).size > index:
            return note
    raise EVIDENCE_UNSIGNED(
        f"no checkpoint covers entry {index} yet: run `answerable ledger seal` and try again"
    )


def _is_met(note: bytes, policy: Policy, origin: str, keys: tuple[VerifierKey, ...]) -> bool:
    """Whether the policy is met, checked as the bundle's receiver will check it."""
    try:
        verified_checkpoint_under(note, policy, origin=origin, log_keys=keys)
    except Unverified:
        return False
    return True


def _trusted(
    published: PublishedLog, policy: str, origin: str
) -> tuple[tuple[VerifierKey, ...], Policy | None]:
    """Return the log's keys, and the policy if it names this log."""
    first = published.key()
    if first is None:
        raise LEDGER_UNREADABLE("the published log has no public key")
    own = parse_policy(policy.encode()) if policy else None
    named = [] if own is None else [one.key for one in own.logs if one.key.name == origin]
    return tuple(dict.fromkeys((first, *named))), own if named else None
