"""Find what was done under a name: actions in flight, and ended actions that cannot be stopped any more.

Reads the ledger: each intent's leaf states what the action was under, evaluated in the current registry. Each process
knows its own log. A revocation also queries the processes of the other shards, and lists those that gave no answer.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import msgspec

from answerable.core.base64url import to_base64url
from answerable.core.containment.hold import HoldTarget
from answerable.core.containment.reach import reach_of
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.ledger.effects import (
    IN_FLIGHT_NAMED_MAX,
    Done,
    Effects,
    InFlight,
    NotAsked,
    Undoing,
    ordered,
)
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.delegation_terms import INSTANCE, MANIFEST
from answerable.core.mandate.hop_token import consent_in, read_hop, signing_hash
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget, instance_names
from answerable.errors import AnswerableError
from answerable.flows.recording.give_way import Turns
from answerable.flows.validity.refuse_revoked import agent_names, capability_names, mandate_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from answerable.core.ledger.entry import StoredEntry
    from answerable.core.registry.documents.capability import Capability
    from answerable.flows.state.parts import AuthorityRegisters, OpenIntent, Recorder
    from answerable.ports.shard_link import ShardLink

T = TypeVar("T")

OTHERS_SECONDS_MAX: Final = 2.0
"""How long a stop or revocation waits for other processes to report; what they start is stopped anyway."""
ENTRIES_LOOKED_AT_MAX: Final = 500_000
"""Newest ledger entries that are searched; the result states where the search began."""


class _Proof(msgspec.Struct):
    binding: str = ""
    kind: str = ""


class _Hop(msgspec.Struct):
    agent: str
    entry: int
    id: str


class Intent(msgspec.Struct):
    """The fields of a Tag.INTENT leaf that name what the action is under."""

    action: str
    agent: str
    at: int
    capability: str
    mandate: str
    proof: _Proof
    deadline: int = 0
    instance: str = ""
    manifest: str = ""
    hops: list[_Hop] = []


class End(msgspec.Struct):
    """The fields of a Tag.OUTCOME or Tag.INDETERMINATE leaf."""

    intent: int
    status: str
    at: int = 0


def in_flight_under(
    recorder: Recorder,
    authority: AuthorityRegisters,
    what: RevocationTarget | HoldTarget,
    opened: Mapping[int, OpenIntent] | None = None,
) -> tuple[InFlight, ...]:
    """Return started actions without an end, of this process and of earlier ones that left them open.

    No await, so that the result is one consistent moment. `opened`: intents open a moment ago, which count even if
    ended since. Raises Broken for an intent that this program did not write.
    """
    found: list[InFlight] = []
    reader = LeafReader(recorder, authority)
    # Include intents that were open a moment ago, even if they have ended since.
    intents = {**(opened or {}), **recorder.open_intents}
    for index in sorted(intents):
        leaf, known = intent_in(recorder.ledger.entry(index)), intents[index]
        known_as = known.reach if isinstance(what, HoldTarget) else known.names
        if what in known_as or reader.is_under(leaf, what):
            found.append(
                InFlight(
                    log=recorder.ledger.origin,
                    index=index,
                    action=leaf.action,
                    agent=AgentId(leaf.agent),
                    capability=leaf.capability,
                    since=UnixMillis(leaf.at),
                    due_at=known.due_at,
                )
            )
    return tuple(found)


async def effects_under(
    recorder: Recorder,
    authority: AuthorityRegisters,
    what: RevocationTarget | HoldTarget,
    in_flight: Sequence[InFlight] | None = None,
    *,
    looks_back: bool = True,
) -> Effects:
    """Return what is in flight under a name, and what took effect or may have, among the newest ledger entries.

    `in_flight`: as of the moment that counts; by default as of now. `looks_back`: whether the ledger is read at all.
    Yields to other tasks. Raises Unavailable, Broken.
    """
    ledger = recorder.ledger
    flying = in_flight_under(recorder, authority, what) if in_flight is None else in_flight
    looked_from = max(0, ledger.size - ENTRIES_LOOKED_AT_MAX) if looks_back else ledger.size
    started: dict[int, Intent] = {}
    reader = LeafReader(recorder, authority)
    ended: dict[int, Done] = {}
    entries = ledger.size
    turns = Turns(recorder.clock)
    for count, stored in enumerate(ledger.replay(looked_from)):
        await turns.after(count)
        if stored.tag == Tag.INTENT:
            leaf = intent_in(stored)
            if reader.is_under(leaf, what):
                started[stored.index] = leaf
        elif stored.tag in (Tag.OUTCOME, Tag.INDETERMINATE):
            end = msgspec.json.decode(stored.leaf, type=End)
            # A later true outcome replaces an indeterminate one.
            if end.intent in started:
                ended.pop(end.intent, None)
                if end.status in ("succeeded", "indeterminate"):
                    ended[end.intent] = reader.done(end.intent, started[end.intent], end.status)
    return Effects(
        log=ledger.origin,
        in_flight=tuple(flying[:IN_FLIGHT_NAMED_MAX]),
        in_flight_count=len(flying),
        done=ordered(ended.values()),
        counted=dict(Counter(one.undoing for one in ended.values())),
        looked_from=looked_from,
        entries=entries,
    )


async def effects_elsewhere(
    link: ShardLink | None, what: RevocationTarget
) -> tuple[tuple[Effects, ...], tuple[NotAsked, ...]]:
    """As `effects_under`, of every other shard of this deployment; returns as `answers_elsewhere`."""
    return await answers_elsewhere(link, lambda link, origin: link.effects(origin, what))


async def answers_elsewhere(
    link: ShardLink | None,
    question: Callable[[ShardLink, str], Awaitable[T]],
    *,
    seconds_max: float = OTHERS_SECONDS_MAX,
) -> tuple[tuple[T, ...], tuple[NotAsked, ...]]:
    """Ask every other shard of this deployment at once. Return the answers by log, and the logs without an answer in
    time.

    Never raises for a shard that cannot be asked; each such shard has a reason.
    """
    told: dict[str, T] = {}
    silent: list[NotAsked] = []
    if link is None:
        return (), ()

    async def ask(origin: str) -> None:
        try:
            with anyio.move_on_after(seconds_max):
                told[origin] = await question(link, origin)
                return
            why = f"its process gave no answer in {seconds_max:g} s: it is stopped or overloaded"
        except AnswerableError as failed:
            why = failed.message
        silent.append(NotAsked(log=origin, why=why))

    try:
        others = link.others()
    except AnswerableError as failed:
        return (), (NotAsked(log="", why=f"the other shards cannot be listed: {failed.message}"),)
    async with anyio.create_task_group() as tasks:
        for origin in others:
            tasks.start_soon(ask, origin)
    return (
        tuple(told[origin] for origin in sorted(told)),
        tuple(sorted(silent, key=lambda one: one.log)),
    )


class LeafReader:
    """Finds the names of an intent, cached for each kind of intent, because a long log has few kinds."""

    def __init__(self, recorder: Recorder, authority: AuthorityRegisters) -> None:
        self._recorder, self._authority = recorder, authority
        self._known: dict[tuple[str, ...], frozenset[RevocationTarget]] = {}
        self._reach: dict[tuple[frozenset[RevocationTarget], str], frozenset[HoldTarget]] = {}

    def is_under(self, leaf: Intent, what: RevocationTarget | HoldTarget) -> bool:
        """Whether the intent of this leaf was under a name that was revoked or held."""
        names = self.names(leaf)
        if not isinstance(what, HoldTarget):
            return what in names
        known = self._reach.get((names, leaf.capability))
        if known is None:
            current = self._authority.registry.current
            capability = current.capabilities.get(leaf.capability)
            known = frozenset(reach_of(names, current, capability=capability))
            self._reach[names, leaf.capability] = known
        return what in known

    def names(self, leaf: Intent) -> frozenset[RevocationTarget]:
        """Return the names that the intent of this leaf was under."""
        hops = (one.id for one in leaf.hops)
        key = (
            leaf.mandate,
            leaf.agent,
            leaf.instance,
            leaf.manifest,
            leaf.capability,
            leaf.proof.kind,
            *self._keys(leaf),
            *hops,
        )
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = frozenset(self._found(leaf))
        return known

    def _found(self, leaf: Intent) -> list[RevocationTarget]:
        current = self._authority.registry.current
        mandate = self._authority.mandates.find(MandateId(leaf.mandate))
        names = [RevocationTarget("mandate", leaf.mandate), *instance_names(leaf.instance)]
        names += (
            mandate_names(self._authority, mandate)
            if mandate is not None
            else agent_names(self._authority, AgentId(leaf.agent))
        )
        if leaf.manifest:
            names.append(RevocationTarget("manifest", leaf.manifest))
        names += (RevocationTarget("key", one) for one in self._keys(leaf))
        for hop in leaf.hops:
            names += self._hop_names(hop)
        capability = current.capabilities.get(leaf.capability)
        names += capability_names(current, capability) if capability is not None else ()
        return names

    def _hop_names(self, hop: _Hop) -> tuple[RevocationTarget, ...]:
        """As `names_of_hop`, from the recorded token. Fewer names if its sealed field cannot be opened any more."""
        stored = self._recorder.ledger.entry(hop.entry)
        fields = payload_of(stored, leaf_of(stored), self._recorder.subject_keys.find) or {}
        names = (RevocationTarget("token", hop.id), *agent_names(self._authority, AgentId(hop.agent)))
        token = fields.get("token")
        if not isinstance(token, str):
            return names
        said = read_hop(token)
        consent = consent_in(said)
        return (
            *names,
            RevocationTarget("hop", signing_hash(token)),
            *([RevocationTarget("hop", consent.hash)] if consent is not None else []),
            RevocationTarget("key", said.confirmation.thumbprint),
            RevocationTarget("manifest", str(said.raw.claims.get(MANIFEST, ""))),
            *instance_names(str(said.raw.claims.get(INSTANCE, ""))),
        )

    def _keys(self, leaf: Intent) -> list[str]:
        """Return the keys that may have signed; for a session, whose leaf names none, every key of its agent."""
        if leaf.proof.kind == "signature":
            return [leaf.proof.binding]
        if leaf.proof.kind == "session_mac":
            agent = self._authority.registry.current.agents.get(AgentId(leaf.agent))
            return [key.thumbprint for key in agent.keys] if agent is not None else []
        if leaf.proof.kind == "unix_peer":
            return []
        # `dpop:thumbprint,run=…`, `mtls:certificate,connection=…`
        bound = leaf.proof.binding.split(",", 1)[0].partition(":")[2]
        return [bound if leaf.proof.kind == "dpop" else _hash_of(bound)]

    def done(self, index: int, leaf: Intent, status: str) -> Done:
        """Return the ended action of this leaf."""
        capability = self._authority.registry.current.capabilities.get(leaf.capability)
        return Done(
            log=self._recorder.ledger.origin,
            index=index,
            action=leaf.action,
            agent=AgentId(leaf.agent),
            capability=leaf.capability,
            at=UnixMillis(leaf.at),
            status="succeeded" if status == "succeeded" else "indeterminate",
            undoing=_undoing(capability),
        )


def _hash_of(hexadecimal: str) -> str:
    """Convert a SHA-256 from hex to the base64url form of tokens; empty if it is not one."""
    try:
        return to_base64url(bytes.fromhex(hexadecimal)) if hexadecimal else ""
    except ValueError:
        return ""


def _undoing(capability: Capability | None) -> Undoing:
    """Return how the effect can be undone. A capability no longer registered counts as irreversible."""
    if capability is None:
        return "not_reversible"
    if capability.kind == "read":
        return "read"
    return "reversible" if capability.reversible else "not_reversible"


def intent_in(stored: StoredEntry) -> Intent:
    """Return the leaf, decoded strictly. Raises Broken (`ledger.leaf_malformed`)."""
    try:
        return msgspec.json.decode(stored.leaf, type=Intent)
    except msgspec.MsgspecError:
        return msgspec.convert(leaf_of(stored), type=Intent)
