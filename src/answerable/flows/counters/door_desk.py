"""Note messages refused at a listener before there is an action: at once and without I/O; ledger entries follow later.

Laws: a refusal costs the response only bounded memory; what a message claims is recorded as a claim; only an agent that
the listener authenticated counts for a stop rule, because otherwise any unauthenticated caller could have any agent
held.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from answerable.core.action.token_shapes import hidden_in
from answerable.core.containment.stop_rule_signal import turned_away
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.proof.door_refusal import DoorRefusal
from answerable.core.ledger.opened import leaf_of, payload_of
from answerable.core.ledger.records_doors import door_refusal
from answerable.core.ledger.subject import DOORS_SUBJECT
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.hop_token import read_hop
from answerable.core.registry.snapshot.discovered_asset import printable
from answerable.core.registry.snapshot.unregistered import key_name
from answerable.errors import Broken, Malformed, Unavailable, Unverified
from answerable.flows.counters.trigger_rules import count, name_entry, noted, rules_now
from answerable.flows.recording.record_entry import record_entry, sealing_for
from answerable.flows.state.known_callers import REGISTER_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from answerable.core.identity.proof.door_refusal import Door, Sender, TellRefused
    from answerable.core.ledger.entry import Receipt, StoredEntry
    from answerable.core.ledger.opened import FindKey
    from answerable.core.registry.snapshot.discovered_asset import DiscoveredAssets
    from answerable.errors import AnswerableError
    from answerable.flows.state.known_callers import KnownCallers
    from answerable.flows.state.parts import AuthorityRegisters, Counters, Recorder
    from answerable.ports.entropy import Entropy
    from answerable.ports.registry_store import RegistryStore

EVERYDAY: Final = frozenset(
    {
        "proof.epoch",
        "dpop.nonce",
        "session.unknown",
        "session.missing",
        "http.too_many",
        "http.bodies_full",
    }
)
"""Refusals that honest clients also meet: at their first request, after a restart of the server, in a burst."""
CLAIM_CHARS_MAX: Final = 120
UNKNOWN_KEY: Final = "proof.key"

_MANDATE: Final = b"answerable-mandate"
_CHAINS: Final = frozenset({b"answerable-delegation", b"authorization"})

_log: Final = logging.getLogger("answerable.doors")


@dataclass(slots=True, kw_only=True)
class DoorDesk:
    """Records refusals of all listeners. counters: counts them. sightings: notes who was refused. known: maps keys to
    agents. program_of: the program of a local process, by pid and start time; empty where unknown. Use only in the
    event loop's thread."""

    authority: AuthorityRegisters
    counters: Counters
    sightings: DiscoveredAssets
    entropy: Entropy
    known: KnownCallers
    program_of: Callable[[int, int], str] = lambda _pid, _started: ""

    def at(self, door: Door) -> TellRefused:
        """Return the function that this listener calls for every refusal."""
        return partial(self.refused, door)

    def refused(
        self, door: Door, said: AnswerableError | str, sender: Sender, *, agent: str = "", key: str = ""
    ) -> None:
        """Note that a message was refused with this error or code. agent: the authenticated sender; empty for none.
        key: thumbprint of the presented key, where the error does not have it. Never raises."""
        code = said if isinstance(said, str) else said.code
        if code in EVERYDAY or isinstance(said, Unavailable | Broken):
            return
        if isinstance(said, Unverified):
            key = said.key or key
        counters, now = self.counters, self.authority.clock.now()
        owner = agent or self.known.holder_of(key)
        told = counters.door_refusals.note(
            DoorRefusal(
                door=door, code=code, source=sender.source, first=now, last=now, key=key, agent=agent
            ),
            lambda one: self._seen(one, sender, owner),
            room=f"agent {owner}" if owner else "",
        )
        if told:
            self.sightings.note(
                "agent",
                owner or (key_name(key) if key else sender.source),
                now,
                source=sender.source,
                grade="gateway" if agent else "claimed",
                how=f"refused at door {door}: {code}",
            )
        if agent:
            counters.quota.note(AgentId(agent), now)
        if agent and rules_now(self.authority.registry, counters.stop_rules):
            # Count now and not with the entry, because repetitions wait for theirs. After a restart in between, some
            # may count twice; they never count too little.
            count(self.authority, counters, self.entropy, turned_away(agent, code, at=now), index=None)

    def _seen(self, refusal: DoorRefusal, sender: Sender, owner: str) -> DoorRefusal:
        peer = sender.channel.peer if sender.channel is not None else None
        program = self.program_of(peer.pid, peer.started) if peer is not None and peer.started else ""
        agent, mandate = _claimed(sender.headers)
        return replace(
            refusal,
            peer=_claim(sender.told(program), chars_max=2 * CLAIM_CHARS_MAX),
            agent_named="" if refusal.agent else _claim(agent or owner),
            mandate_named=_claim(mandate),
        )


def note_again(sightings: DiscoveredAssets, known: KnownCallers, find: FindKey, stored: StoredEntry) -> None:
    """Note who an entry says was refused, at a start whose registers may not know it. Raises Broken
    (`ledger.leaf_malformed`)."""
    leaf = leaf_of(stored)
    fields = payload_of(stored, leaf, find) or {}
    agent, key, last = leaf.get("agent"), str(leaf.get("key", "")), leaf.get("last")
    source = str(fields.get("source", ""))
    sightings.note(
        "agent",
        str(agent or known.holder_of(key) or (key_name(key) if key else source)),
        UnixMillis(last if type(last) is int else 0),
        source=source,
        grade="gateway" if agent else "claimed",
        how=f"refused at door {leaf.get('door')}: {leaf.get('code')}",
    )


async def record_door_refusals(
    recorder: Recorder, registry: RegistryStore, counters: Counters, *, closing: bool = False
) -> None:
    """Record the refusals that are due; with `closing`, all of them. Raises Unavailable; what was not recorded is due
    again."""
    waiting = counters.door_refusals.due(recorder.clock.now(), closing=closing)
    while waiting:
        refusal = waiting[0]

        def placed(receipt: Receipt, refusal: DoorRefusal = refusal) -> None:
            if refusal.agent:
                name_entry(
                    registry,
                    counters.stop_rules,
                    turned_away(refusal.agent, refusal.code, at=refusal.last),
                    receipt.index,
                )
            noted(counters.stop_rules, receipt.index)

        try:
            entry = door_refusal(
                refusal, at=recorder.clock.now(), sealing=sealing_for(recorder, DOORS_SUBJECT)
            )
            receipt, left = await record_entry(recorder, entry, patient=False, then=placed)
        except Unavailable:
            counters.door_refusals.put_back(waiting)
            raise
        del waiting[0]
        _say(refusal, receipt)
        if left is not None:
            counters.door_refusals.put_back(waiting)
            raise left


def _say(refusal: DoorRefusal, receipt: Receipt) -> None:
    shown = [f"key {refusal.key}"] if refusal.key else []
    if refusal.agent:
        shown.append(f"of agent {refusal.agent}")
    elif refusal.agent_named:
        shown.append(f"naming agent {refusal.agent_named}")
    _log.warning(
        "refused at door %s: %s, %s from %s (entry %d)%s%s",
        refusal.door,
        refusal.code,
        " ".join(shown) or "nobody known",
        refusal.peer or refusal.source or "many",
        receipt.index,
        f", {refusal.count} times" if refusal.count > 1 else "",
        f"; {REGISTER_KEY}" if refusal.code == UNKNOWN_KEY and not refusal.agent_named else "",
    )


def _claimed(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """Return agent and mandate that a message names in its headers and their tokens; none of it is proved."""
    agent = mandate = ""
    for name, value in headers:
        if name == _MANDATE:
            mandate = value.decode("ascii", "replace")
        elif name in _CHAINS:
            # Of `Authorization: SCHEME TOKEN`, read the token. Of a delegation chain, read the first hop, which names
            # the mandate, and the last.
            hops = value.decode("ascii", "replace").rpartition(" ")[2].split(SEPARATOR)
            for one in dict.fromkeys((hops[0], hops[-1])):
                with suppress(Malformed):
                    hop = read_hop(one)
                    agent = hop.agent
                    mandate = mandate or (hop.mission.id if hop.mission is not None else "")
    return agent, mandate


def _claim(text: str, *, chars_max: int = CLAIM_CHARS_MAX) -> str:
    """Return a claim as it is stored: printable, truncated, and without credentials, which a name may contain."""
    plain, _ = hidden_in(text.encode("utf-8", "replace"))
    return printable(plain.decode("utf-8", "replace")[:chars_max]) if text else ""
