"""Check that each entry which another entry refers to exists and is of the kind that the reference requires.

Laws:
- an intent refers to earlier entries, by index in the same log, and each is of the kind it is used as; a stated leaf
  hash is that of the entry;
- the hops of an action belong to its mandate, each delegated from the one before, the last to the acting agent;
- a statement that a person signed with a key file refers to an entry that names people's keys;
- an answer for another person refers to a delegation of duty from that person to the answerer, in that group;
- a hop that the token service issued below another hop refers to the consent of the parent hop's agent, for the same
  agent below the same hop, or states that it was issued for a token of its holder's own and is below a hop of that
  agent. Entries that state neither pass until the first entry that states one.

A log may be checked in ranges, as in `links.py`. Memory use grows only with the cited entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import UNSET

from answerable.core.ledger.records_delegation import CONSENT_KIND, KIND
from answerable.core.ledger.tags import Tag
from answerable.verify.answer_shapes import AnswerLeaf, GlassReviewedLeaf
from answerable.verify.canary_shapes import CanaryToldLeaf
from answerable.verify.duty_shapes import DutyLeaf, duty_name
from answerable.verify.incident_shapes import IncidentLeaf
from answerable.verify.key_shapes import PeoplesKeysLeaf
from answerable.verify.leaf_rules import Fault
from answerable.verify.leaf_shapes import (
    ApprovalLeaf,
    CitedLeaf,
    IntentLeaf,
    MandateClosedLeaf,
    MandateLeaf,
    ManifestLeaf,
    RefusalLeaf,
)
from answerable.verify.policy_shapes import ChangeLeaf, ProposedLeaf
from answerable.verify.report import Outside
from answerable.verify.stop_shapes import HoldLiftedLeaf
from answerable.verify.tool_shapes import ToolPinnedLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msgspec import UnsetType

    from answerable.verify.leaf_types import Leaf, Reference

_ISSUED: Final = "mandate_issued"
_DUTY: Final = "delegation_of_duty"
_KEYS: Final = "peoples_keys"
_ONLINE: Final = "online"
_UNSAID: Final = "a hop was issued below another one without a consent or a token of its own"
_NOT_OWN: Final = "the hop was issued for its holder's own token, but the hop above belongs to another agent"
OUTSIDE_MAX: Final = 100_000
"""References to other logs that are stored, to be followed in a set of logs."""


class _Place(NamedTuple):
    """A reference. leaf: leaf hash, hex; empty if it states only an index. log: empty for the log of the reference."""

    entry: int
    leaf: str
    log: str


def _place(one: int | Reference | UnsetType) -> _Place | None:
    if one is UNSET:
        return None
    if isinstance(one, int):
        return _Place(one, "", "")
    return _Place(one.entry, one.leaf, "" if one.log is UNSET else one.log)


class _Wanted(NamedTuple):
    """A reference and the expected kind of its target. leaf, name: empty if the entry does not state it."""

    entry: int
    leaf: str
    kind: str
    name: str


def _hop_name(hop: str, agent: str, parent: str, mandate: str) -> str:
    """Return the key of a hop: its id, its agent, the hop above it and the mandate. No id contains a line break."""
    return "\n".join((hop, agent, parent, mandate))


def _consent_name(agent: str, parent: str, mandate: str) -> str:
    """Return the key of a consent: the agent it is for, the hop whose holder signed it, and the mandate."""
    return "\n".join((agent, parent, mandate))


class Citations:
    """The cited entries of a log from entry `first` on, and the references to them. here: the available entries, if not
    all."""

    def __init__(self, first: int = 0, *, here: frozenset[int] | None = None) -> None:
        self._first = first
        self._here = here
        self.absent = 0
        """References to entries that are not available."""
        self._cited: dict[int, tuple[bytes, str, str]] = {}
        self._seen: set[tuple[int | str, ...]] = set()
        self._earlier: dict[_Wanted, int] = {}
        self.elsewhere = 0
        """References to other logs."""
        self.outside: dict[Outside, int] = {}
        """The first references to other logs, each once, with the entry that makes it first."""
        # Whether an entry has stated the basis on which a hop was issued, and the earlier entries that did not.
        self._says_basis = False
        self._unsaid: list[int] = []
        # Hops by id, agent and mandate, and the hops that must precede this range.
        self._placed: set[tuple[str, str, str]] = set()
        self._needed: dict[tuple[str, str, str], int] = {}

    def fault(self, index: int, leaf: Leaf, leaf_hash: bytes) -> Fault | None:
        """Take the next entry and return its fault, if any."""
        if isinstance(leaf, IntentLeaf):
            return self.referred(index, leaf)
        if isinstance(leaf, CitedLeaf):
            return self.cited(index, leaf, leaf_hash)
        if isinstance(leaf, RefusalLeaf | ApprovalLeaf):
            return self._decided_under(index, leaf)
        if isinstance(leaf, PeoplesKeysLeaf | ChangeLeaf):
            return self._names_keys(index, leaf, leaf_hash)
        if isinstance(leaf, AnswerLeaf):
            return self._answered_for(index, leaf) or self._signed_by(index, leaf.keys_ref)
        if isinstance(
            leaf,
            GlassReviewedLeaf
            | CanaryToldLeaf
            | HoldLiftedLeaf
            | IncidentLeaf
            | ManifestLeaf
            | ToolPinnedLeaf
            | ProposedLeaf,
        ):
            return self._signed_by(index, leaf.keys_ref)
        if isinstance(leaf, DutyLeaf):
            if leaf.change == "given":
                name = duty_name(leaf.delegation, leaf.group, leaf.of, leaf.to)
                self._cited[index] = (leaf_hash, _DUTY, name)
            return self._signed_by(index, leaf.keys_ref)
        if isinstance(leaf, MandateLeaf):
            self._cited[index] = (leaf_hash, _ISSUED, leaf.mandate)
            return self._signed_by(index, leaf.keys_ref)
        if isinstance(leaf, MandateClosedLeaf) and leaf.mandate_ref is not UNSET:
            return self._followed(index, leaf.mandate_ref, _ISSUED, leaf.mandate)
        return None

    def cited(self, index: int, leaf: CitedLeaf, leaf_hash: bytes) -> Fault | None:
        """Take an entry that others may refer to."""
        name = leaf.name
        agent, parent, mandate = leaf.agent or "", leaf.parent or "", leaf.mandate or ""
        if leaf.kind == KIND:
            # The key is the hop's position in a chain, since the digest identifies only the token.
            name = _hop_name(leaf.hop or "", agent, parent, mandate)
        elif leaf.kind == CONSENT_KIND:
            name = _consent_name(agent, parent, mandate)
        self._cited[index] = (leaf_hash, leaf.kind, name)
        if leaf.kind != KIND:
            return None
        self._placed.add((leaf.hop or "", agent, mandate))
        return self._basis_fault(index, leaf) if leaf.form == _ONLINE and leaf.depth else None

    def _basis_fault(self, index: int, leaf: CitedLeaf) -> Fault | None:
        """Check the stated basis on which a hop below the first was issued."""
        agent, parent, mandate = leaf.agent or "", leaf.parent or "", leaf.mandate or ""
        consent, own = leaf.consent, leaf.own is True
        if consent is UNSET and not own:
            if self._says_basis:
                return Fault("consent.missing", _UNSAID)
            self._unsaid.append(index)
            return None
        self._says_basis = True
        if consent is not UNSET:
            if own:
                return Fault("consent.basis", ("the entry refers to a consent but says that it needed none"))
            return self._followed(index, consent, CONSENT_KIND, _consent_name(agent, parent, mandate))
        if (parent, agent, mandate) not in self._placed:
            # Every hop precedes the hops below it in the log, so the parent may only be missing from a partial range.
            if not self._first and self._here is None:
                return Fault("consent.missing", _NOT_OWN)
            self._needed.setdefault((parent, agent, mandate), index)
        return None

    def referred(self, index: int, leaf: IntentLeaf) -> Fault | None:
        """Take an entry that refers to others. References that were checked before are not checked again."""
        mandate, policy, tool = _place(leaf.mandate_ref), _place(leaf.policy_ref), _place(leaf.tool_ref)
        if mandate is None or policy is None or tool is None:
            return None
        hops_fault = self._hops_fault(index, leaf)
        digest = leaf.decision.policy_set
        key = (*mandate, *policy, *tool, leaf.mandate, digest)
        if key in self._seen:
            return hops_fault
        if not (mandate.log or policy.log or tool.log):
            self._seen.add(key)
        found = None
        for one, kind, name in (
            (mandate, "mandate", leaf.mandate),
            (policy, "policy_set", digest),
            (tool, "tool", ""),
        ):
            fault = self._at(index, one, kind, name)
            found = found or fault
        return found or hops_fault

    def _decided_under(self, index: int, leaf: RefusalLeaf | ApprovalLeaf) -> Fault | None:
        """Check the references of a denial or an approval request. Entries from before references were recorded
        pass."""
        if isinstance(leaf, RefusalLeaf):
            digest = "" if leaf.policy_set is UNSET else leaf.policy_set
        else:
            digest = "" if leaf.decision is UNSET else leaf.decision.policy_set
        found = None
        if leaf.policy_ref is not UNSET:
            found = self._followed(index, leaf.policy_ref, "policy_set", digest)
        if leaf.mandate_ref is not UNSET:
            mandate = "" if leaf.mandate is UNSET else leaf.mandate
            found = found or self._followed(index, leaf.mandate_ref, "mandate", mandate)
        return found

    def _answered_for(self, index: int, leaf: AnswerLeaf) -> Fault | None:
        """Check that a deputy's answer refers to a delegation to that deputy, in this group, from exactly that
        person."""
        duty, reference = leaf.duty, leaf.duty_ref
        if duty is UNSET and reference is UNSET:
            return None
        if duty is UNSET or reference is UNSET:
            return Fault("duty.reference", ("the entry says for whom it was given or by what, but not both"))
        name = duty_name(duty.delegation, duty.group, duty.of, leaf.person)
        return self._followed(index, reference, _DUTY, name)

    def _names_keys(self, index: int, leaf: PeoplesKeysLeaf | ChangeLeaf, leaf_hash: bytes) -> Fault | None:
        if isinstance(leaf, ChangeLeaf):
            if leaf.tag == Tag.REGISTRY_CHANGE:
                self._cited[index] = (leaf_hash, _KEYS, leaf.after)
            return self._signed_by(index, leaf.keys_ref)
        self._cited[index] = (leaf_hash, _KEYS, leaf.registry)
        change = leaf.change_ref
        return None if change is UNSET else self._followed(index, change, _KEYS, leaf.registry)

    def _signed_by(self, index: int, reference: Reference | UnsetType) -> Fault | None:
        """Check that a signature by key file refers to an entry that names people's keys; `check_keys` checks whose."""
        return None if reference is UNSET else self._followed(index, reference, _KEYS, "")

    def _hops_fault(self, index: int, leaf: IntentLeaf) -> Fault | None:
        """Check that each hop of an action is recorded earlier, as the hop that is named, below the hop before it."""
        if leaf.hops is UNSET:
            return None
        found, parent = None, ""
        for hop in leaf.hops:
            wanted = _Wanted(hop.entry, hop.leaf, KIND, _hop_name(hop.id, hop.agent, parent, leaf.mandate))
            parent = hop.id
            if wanted not in self._seen:
                self._seen.add(wanted)
                found = self._one(index, wanted) or found
        if leaf.hops[-1].agent != leaf.agent:
            found = found or Fault(
                "reference.kind", "the last hop is for another agent than the entry is about"
            )
        return found

    def joined(self, later: Citations) -> Iterator[tuple[int, Fault]]:
        """Append the next range, which was read separately, and yield the faults that only both together show."""
        self.elsewhere += later.elsewhere
        for outside, index in later.outside.items():
            self._left_open(outside, index)
        for wanted, index in later._earlier.items():
            fault = self._wanted_fault(wanted)
            if fault is not None:
                yield index, fault
        if self._says_basis:
            for index in later._unsaid:
                yield index, Fault("consent.missing", _UNSAID)
        self._says_basis |= later._says_basis
        for needed, index in later._needed.items():
            if needed not in self._placed:
                yield index, Fault("consent.missing", _NOT_OWN)
        self._placed |= later._placed
        self._cited.update(later._cited)

    def _followed(self, index: int, one: Reference, kind: str, name: str) -> Fault | None:
        return self._at(index, _Place(one.entry, one.leaf, "" if one.log is UNSET else one.log), kind, name)

    def _at(self, index: int, one: _Place, kind: str, name: str) -> Fault | None:
        if not one.log:
            return self._one(index, _Wanted(one.entry, one.leaf, kind, name))
        self.elsewhere += 1
        self._left_open(Outside(one.log, one.entry, one.leaf), index)
        return None

    def _left_open(self, outside: Outside, index: int) -> None:
        if len(self.outside) < OUTSIDE_MAX:
            self.outside.setdefault(outside, index)

    def _one(self, index: int, wanted: _Wanted) -> Fault | None:
        if wanted.entry >= index:
            return Fault("reference.order", f"it refers to entry {wanted.entry}, which is not before it")
        if self._here is not None and wanted.entry not in self._here:
            self.absent += 1
            return None
        if wanted.entry < self._first:
            self._earlier.setdefault(wanted, index)
            return None
        return self._wanted_fault(wanted)

    def _wanted_fault(self, wanted: _Wanted) -> Fault | None:
        cited = self._cited.get(wanted.entry)
        if cited is None:
            return Fault("reference.missing", f"it refers to entry {wanted.entry}, which is not a cited one")
        leaf_hash, kind, name = cited
        if wanted.leaf and wanted.leaf != leaf_hash.hex():
            return Fault(
                "reference.leaf_hash", f"it names another leaf hash than that of entry {wanted.entry}"
            )
        if kind != wanted.kind or (wanted.name and wanted.name != name):
            return Fault(
                "reference.kind",
                f"it refers to entry {wanted.entry} as a {wanted.kind} of its own, which it is not",
            )
        return None
