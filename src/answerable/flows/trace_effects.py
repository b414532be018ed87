"""What was done under a name: actions that are in flight, and those that have ended and cannot be stopped any more.

Read from the ledger, by what each intent's leaf says of whom and what it was under, in the registry as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import anyio.lowlevel
import msgspec

from answerable.core.identity.keys import to_base64url
from answerable.core.identity.principal import AgentId, UnixMillis
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.delegation_terms import INSTANCE, MANIFEST
from answerable.core.mandate.hop_token import consent_in, read_hop, signing_hash
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import Revocable, instance_names
from answerable.flows.refuse_revoked import agent_names, capability_names, mandate_names

if TYPE_CHECKING:
    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.capability import Capability
    from answerable.flows.walk import Walk

ENTRIES_LOOKED_AT_MAX: Final = 500_000
"""The newest of the ledger; what was done before them is not looked for, and that is said."""
DONE_NAMED_MAX: Final = 100
ENTRIES_PER_TURN: Final = 256

DoneStatus = Literal["succeeded", "indeterminate"]
Undoing = Literal["not_reversible", "reversible", "read"]
"""Whether the registry says that it can be undone. What was read cannot be unread."""


class _Proof(msgspec.Struct):
    binding: str = ""
    kind: str = ""


class _Hop(msgspec.Struct):
    agent: str
    entry: int
    id: str


class _Intent(msgspec.Struct):
    """What a leaf of Tag.INTENT says of whom and what the action is under."""

    action: str
    agent: str
    at: int
    capability: str
    mandate: str
    proof: _Proof
    instance: str = ""
    manifest: str = ""
    hops: list[_Hop] = []


class _End(msgspec.Struct):
    intent: int
    status: str


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """An action that had been started when something was ended, and had no end yet. index: of its intent."""

    index: int
    action: str
    agent: AgentId
    capability: str
    since: UnixMillis


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """An action that took effect, or may have. index: of its intent."""

    index: int
    action: str
    agent: AgentId
    capability: str
    at: UnixMillis
    status: DoneStatus
    undoing: Undoing


@dataclass(slots=True, kw_only=True)
class Effects:
    """done: what cannot be undone first, then the newest first, at most DONE_NAMED_MAX. counted: of all, by `undoing`.

    looked_from: index of the first ledger entry that was looked at.
    """

    done: tuple[Done, ...] = ()
    counted: dict[Undoing, int] = field(
        default_factory=lambda: {"not_reversible": 0, "reversible": 0, "read": 0}
    )
    looked_from: int = 0


def in_flight_under(walk: Walk, what: Revocable) -> tuple[InFlight, ...]:
    """Actions of this process, and those that an earlier one left open, that have been started and have no end.

    Without an await, so that it is the state of one moment. Raises Broken for an intent that nobody here wrote.
    """
    found: list[InFlight] = []
    reader = _LeafReader(walk)
    for index in sorted(walk.open_intents):
        leaf = _intent_in(walk.ledger.entry(index))
        if what in walk.open_intents[index].names or what in reader.names(leaf):
            found.append(
                InFlight(
                    index=index,
                    action=leaf.action,
                    agent=AgentId(leaf.agent),
                    capability=leaf.capability,
                    since=UnixMillis(leaf.at),
                )
            )
    return tuple(found)


async def effects_under(walk: Walk, what: Revocable) -> Effects:
    """What took effect under a name, or may have, among the newest entries of this process's ledger.

    Others are served meanwhile. Raises Unavailable, Broken.
    """
    found = Effects(looked_from=max(0, walk.ledger.size - ENTRIES_LOOKED_AT_MAX))
    started: dict[int, _Intent] = {}
    reader = _LeafReader(walk)
    ended: dict[int, Done] = {}
    for count, stored in enumerate(walk.ledger.replay(found.looked_from)):
        if count % ENTRIES_PER_TURN == 0:
            await anyio.lowlevel.checkpoint()
        if stored.tag == Tag.INTENT:
            leaf = _intent_in(stored)
            if what in reader.names(leaf):
                started[stored.index] = leaf
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            end = msgspec.json.decode(stored.leaf, type=_End)
            # A true outcome that turned up later takes the place of one that was not known.
            if end.intent in started:
                ended.pop(end.intent, None)
                if end.status in ("succeeded", "indeterminate"):
                    ended[end.intent] = reader.done(end.intent, started[end.intent], end.status)
    for one in ended.values():
        found.counted[one.undoing] += 1
    order: dict[Undoing, int] = {"not_reversible": 0, "reversible": 1, "read": 2}
    chosen = sorted(ended.values(), key=lambda one: (order[one.undoing], -one.index))
    found.done = tuple(chosen[:DONE_NAMED_MAX])
    return found


class _LeafReader:
    """Finds out once for each kind of intent under which names it was: a long log has few kinds."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._known: dict[tuple[str, ...], frozenset[Revocable]] = {}

    def names(self, leaf: _Intent) -> frozenset[Revocable]:
        """Under which names the intent of this leaf was."""
        hops = (one.id for one in leaf.hops)
        key = (
            leaf.mandate, leaf.agent, leaf.instance, leaf.manifest, leaf.capability, leaf.proof.kind,
            *self._keys(leaf), *hops,
        )  # fmt: skip
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = frozenset(self._found(leaf))
        return known

    def _found(self, leaf: _Intent) -> list[Revocable]:
        walk, current = self._walk, self._walk.registry.current
        mandate = walk.mandates.find(MandateId(leaf.mandate))
        names = [Revocable("mandate", leaf.mandate), *instance_names(leaf.instance)]
        names += (
            mandate_names(walk, mandate) if mandate is not None else agent_names(walk, AgentId(leaf.agent))
        )
        if leaf.manifest:
            names.append(Revocable("manifest", leaf.manifest))
        names += (Revocable("key", one) for one in self._keys(leaf))
        for hop in leaf.hops:
            names += self._hop_names(hop)
        capability = current.capabilities.get(leaf.capability)
        names += capability_names(current, capability) if capability is not None else ()
        return names

    def _hop_names(self, hop: _Hop) -> tuple[Revocable, ...]:
        """As `names_of_hop`, from the token that was written down; less where its field cannot be opened any more."""
        walk = self._walk
        stored = walk.ledger.entry(hop.entry)
        fields = payload_of(stored, leaf_of(stored), walk.subject_keys.find) or {}
        names = (Revocable("token", hop.id), *agent_names(walk, AgentId(hop.agent)))
        token = fields.get("token")
        if not isinstance(token, str):
            return names
        said = read_hop(token)
        consent = consent_in(said)
        return (
            *names,
            Revocable("hop", signing_hash(token)),
            *([Revocable("hop", consent.hash)] if consent is not None else []),
            Revocable("key", said.confirmation.thumbprint),
            Revocable("manifest", str(said.raw.claims.get(MANIFEST, ""))),
            *instance_names(str(said.raw.claims.get(INSTANCE, ""))),
        )

    def _keys(self, leaf: _Intent) -> list[str]:
        """A session's leaf does not say which key opened it: every key of its agent counts, rather too many than one
        too few."""
        if leaf.proof.kind == "signature":
            return [leaf.proof.binding]
        if leaf.proof.kind == "session_mac":
            agent = self._walk.registry.current.agents.get(AgentId(leaf.agent))
            return [key.thumbprint for key in agent.keys] if agent is not None else []
        if leaf.proof.kind == "unix_peer":
            return []
        # `dpop:thumbprint,run=…`, `mtls:certificate,connection=…`
        bound = leaf.proof.binding.split(",", 1)[0].partition(":")[2]
        return [bound if leaf.proof.kind == "dpop" else _hash_of(bound)]

    def done(self, index: int, leaf: _Intent, status: str) -> Done:
        """The action of this leaf, which has ended so."""
        capability = self._walk.registry.current.capabilities.get(leaf.capability)
        return Done(
            index=index,
            action=leaf.action,
            agent=AgentId(leaf.agent),
            capability=leaf.capability,
            at=UnixMillis(leaf.at),
            status="succeeded" if status == "succeeded" else "indeterminate",
            undoing=_undoing(capability),
        )


def _hash_of(hexadecimal: str) -> str:
    """A SHA-256 as it is named in tokens, base64url; empty for what is none."""
    try:
        return to_base64url(bytes.fromhex(hexadecimal)) if hexadecimal else ""
    except ValueError:
        return ""


def _undoing(capability: Capability | None) -> Undoing:
    """What is not registered any more is taken for what cannot be undone."""
    if capability is None:
        return "not_reversible"
    if capability.kind == "read":
        return "read"
    return "reversible" if capability.reversible else "not_reversible"


def _intent_in(stored: StoredEntry) -> _Intent:
    """The leaf, strictly or not at all. Raises Broken (`ledger.leaf_malformed`)."""
    try:
        return msgspec.json.decode(stored.leaf, type=_Intent)
    except msgspec.MsgspecError:
        return msgspec.convert(leaf_of(stored), type=_Intent)
