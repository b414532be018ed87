"""Build the product from settings: adapters, then the flows over them, by hand and in reading order."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.cedar import compiled
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteDutyRegister,
    SqliteEpochs,
    SqliteFiguresRegister,
    SqliteHistoryRegister,
    SqliteHoldRegister,
    SqliteMandateRegister,
    SqliteOpeningRegister,
    SqlitePreparedRegister,
    SqliteRegisterRoom,
    SqliteRegistryStore,
    SqliteRevocationRegister,
    SqliteStore,
    SqliteToolPinRegister,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.tlog_files import PublishedFiles, TlogFilesLedger
from answerable.errors import Unavailable
from answerable.flows.counters.door_desk import DoorDesk
from answerable.flows.ledger.witness_intent import intent_witness
from answerable.flows.recovery.restore_ended_authority import restore_ended_authority
from answerable.flows.recovery.settle_open_intents import (
    recover_from_ledger,
    settle_open_intents,
)
from answerable.flows.registry.apply_registry import policy_text
from answerable.flows.revocation.place_hold import resume_holds
from answerable.flows.revocation.revoke_authority import record_revocations, take_away_from_agents
from answerable.flows.state.duty_desk import OnCallState
from answerable.flows.state.figures_desk import StatisticsState
from answerable.flows.state.known_callers import instance_stands
from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters, LiveAccess, Recorder
from answerable.flows.state.worlds import Verification
from answerable.flows.workloads.change_authorities import AuthorityChanges
from answerable.flows.workloads.keep_discovered_assets import keep_discovered_assets
from answerable.flows.workloads.watch_clock import end_what_had_lapsed
from answerable.wiring import witness_view
from answerable.wiring.accounts import agents_beside
from answerable.wiring.announcing import event_desk
from answerable.wiring.catching_up import brought_up, mended_trust_domain
from answerable.wiring.console import passkey_desk
from answerable.wiring.drills import drill_desk, give_ground
from answerable.wiring.identity import noted_at_last, opened_identity, verifier_of
from answerable.wiring.identity_lock import alone
from answerable.wiring.incident_settings import incident_rules
from answerable.wiring.leases import declared_targets, lease_side, warrant_signer
from answerable.wiring.loop_share import LoopShare
from answerable.wiring.own_ledger import opened_ledger
from answerable.wiring.policies import policy_desk
from answerable.wiring.proofs import opened_replay_store
from answerable.wiring.reaching import reach_desk
from answerable.wiring.search_side import SearchSide
from answerable.wiring.settling import counted_at_last, when_there_is_room
from answerable.wiring.shard_links import shard_door, shard_link
from answerable.wiring.shards import LogOfLogs, heads_identity, other_shards, own_log, own_witnesses
from answerable.wiring.start_room import make_product_directory
from answerable.wiring.stops import hold_if_pressed, ready_for_a_full_disk, recover_rules
from answerable.wiring.subject_keys import opened_subject_keys
from answerable.wiring.tokens import token_desk
from answerable.wiring.walk import Walk
from answerable.wiring.witnesses import cosigning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from answerable.adapters.mcp_upstream.upstream import McpUpstream
    from answerable.adapters.shard_socket import SocketShardDoor
    from answerable.flows.events.event_desk import EventState
    from answerable.flows.ledger.gather_cosignatures import Cosigning, WitnessState
    from answerable.flows.ledger.publish_set_checkpoint import ShardState
    from answerable.flows.state.known_callers import KnownCallers
    from answerable.flows.state.lease_side import LeaseSide
    from answerable.flows.state.token_desk import TokenState
    from answerable.flows.tokens.verify_caller import CallerVerifier
    from answerable.flows.trust_domain.workloads import Workloads
    from answerable.ports.replay_store import ReplayStore
    from answerable.wiring.catching_up import KeptRegisters
    from answerable.wiring.identity import Identity
    from answerable.wiring.setting_tree import Settings

LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
NAMELESS_SAID_MAX: Final = 10
"""Entries named in a warning; the others are counted."""

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Everything that the endpoints need.

    log_key: verifier key of the log (C2SP signed-note). published: the log as its public readers see it.
    settled_policy: returns its tlog-policy, empty while it is not known. heads, shard_door: None without shards.
    proofs: replay store for token holders' proofs. share: shares the event loop's time, at all endpoints.
    """

    walk: Walk
    verifier: CallerVerifier
    upstream: McpUpstream
    ledger: TlogFilesLedger
    log_key: str
    cosigning: Cosigning
    registers: SqliteStore
    proofs: ReplayStore
    tokens: TokenState
    events: EventState
    published: PublishedFiles
    settled_policy: Callable[[], str]
    beside: Callable[[], frozenset[str]]
    registers_told: Callable[[], tuple[str, ...]]
    identity: Identity
    workloads: Workloads
    authorities: AuthorityChanges
    share: LoopShare
    kept: KeptRegisters
    doors: DoorDesk
    searches: SearchSide
    heads: LogOfLogs | None = None
    shard_door: SocketShardDoor | None = None

    @property
    def log_keys(self) -> tuple[str, ...]:
        """Return every verifier key with which checkpoints of the log are signed."""
        return (self.log_key,)

    def policy(self) -> str:
        """Return the log, witnesses and quorum (C2SP tlog-policy); empty while they are not known."""
        return self.settled_policy()

    def checkpoint(self) -> str:
        """Return the latest published checkpoint, empty when there is none yet."""
        return self.ledger.checkpoint

    def seal(self) -> str:
        """Sign and publish a checkpoint now."""
        return self.ledger.seal()

    def server_states(self) -> Mapping[str, str]:
        """Return each upstream's state as one word, by name."""
        return {state.name: state.state for state in self.upstream.states()}

    def witness_states(self) -> tuple[WitnessState, ...]:
        """Return the state of each witness of the log, and of the log of logs if this process keeps it."""
        return (*self.cosigning.states(), *(self.heads.witness_states() if self.heads else ()))

    def unreadable_rows(self) -> tuple[tuple[str, str, str], ...]:
        """Return the rows of the registers that cannot be read."""
        return self.registers.unreadable.all()

    def shard_states(self) -> tuple[ShardState, ...]:
        """Return the state of each shard in the log of logs; none without shards."""
        return self.heads.states() if self.heads else ()


def _policy(settings: Settings) -> str:
    with suppress(Unavailable):  # the local witness's key is unknown before its first start
        return witness_view.policy_text(settings)
    return ""


@asynccontextmanager
async def assembled(
    settings: Settings, *, authorities: frozenset[str] = frozenset(LOCAL_NAMES),
    wait_seconds_max: float = 0.0, witness: tuple[str, ...] = (), address: tuple[str, int] | None = None,
) -> AsyncIterator[Product]:  # fmt: skip
    """Open the product on one data directory, recovered and settled; no listener is open and no upstream started.

    authorities: names under which callers may address it. address: on which it listens. wait_seconds_max: how long to
    wait for another process that holds the directory. witness: command that starts the local witness. Raises
    Unavailable when the directory is held longer, Broken when its log is corrupt or behind what witnesses know,
    Malformed for contradictory settings.
    """
    make_product_directory(settings)
    clock, entropy = SystemClock(), SystemEntropy()
    own = own_log(settings, entropy)
    ledger = await opened_ledger(settings, own, clock, entropy, wait_seconds_max=wait_seconds_max)
    asking = cosigning(own_witnesses(settings), ledger=ledger, log_keys=(own.log_key,), clock=clock)
    async with ledger, asking as rounds, AsyncExitStack() as opening:
        with (
            closing(SqliteStore.open(settings.registers.database)) as store,
            closing(opened_replay_store(settings, entropy, clock)) as proofs,
            closing(opened_subject_keys(settings, entropy, ledger)) as subject_keys,
        ):
            kept = await brought_up(settings, store, ledger, subject_keys.find, clock)
            await mended_trust_domain(settings, store, ledger, clock, altered=kept.caught_up.recalled)
            registry = SqliteRegistryStore(store)
            opened = opened_identity(settings, store, clock=clock, entropy=entropy)
            identity = await opening.enter_async_context(opened)
            verifier = verifier_of(identity, registry, settings, authorities, clock=clock, entropy=entropy)
            upstream = _upstream(settings, clock, own.origin, entropy)
            revocations = SqliteRevocationRegister(store, clock=clock)
            walk = Walk(
                clock=clock, entropy=entropy, incidents=incident_rules(settings.incidents),
                drills=drill_desk(settings, store), limits=settings.walk,
                recorder=Recorder(
                    ledger=ledger, subject_keys=subject_keys,
                    unwitnessed=rounds.refusal, witness=intent_witness(rounds, ledger.seal_now),
                ),
                authority=AuthorityRegisters(
                    registry=registry, mandates=(mandates := SqliteMandateRegister(store)),
                    approvals=SqliteApprovalRegister(store), manifests=identity.manifests,
                    revocations=revocations, holds=(holds := SqliteHoldRegister(store, revocations)),
                    room=SqliteRegisterRoom(store, holds=holds, revocations=revocations, mandates=mandates),
                ),
                asking=AskingState(
                    openings=SqliteOpeningRegister(store),
                    channel=(reach := reach_desk(settings, store, registry, own.origin)), reach=reach,
                    people=identity.people, passkeys=passkey_desk(settings, store),
                    figures=StatisticsState(register=SqliteFiguresRegister(store)),
                    duties=OnCallState(register=SqliteDutyRegister(store)),
                ),
                live=LiveAccess(link=shard_link(settings, own), leases=lease_side(settings)),
                counters=Counters(history_register=SqliteHistoryRegister(store)),
                verification=Verification(
                    upstream=upstream, pins=SqliteToolPinRegister(store), epochs=SqliteEpochs(revocations),
                    trust=identity.desk, sightings=identity.seen, prepared=SqlitePreparedRegister(store),
                    stands=partial(instance_stands, identity.instances, identity.desk),
                ),
                policies=policy_desk(
                    settings, store, compile_policies=compiled,
                    decision_point=compiled(policy_text(registry.current), registry.current),
                ),
            )  # fmt: skip
            give_ground(walk)
            tokens = token_desk(settings, walk, store, verifier, address)
            workloads, changes = await _recovered(walk, identity, settings, store, kept)
            yield Product(
                walk=walk, verifier=verifier, upstream=upstream, ledger=ledger, log_key=own.log_key.formatted(),
                cosigning=rounds, registers=store, proofs=proofs, tokens=tokens,
                events=event_desk(settings, store, tokens), published=PublishedFiles(settings.ledger.place),
                settled_policy=partial(_policy, settings), beside=partial(agents_beside, verifier, registry),
                heads=_heads(settings, entropy, clock, witness), doors=_doors(walk, identity, verifier.known),
                shard_door=shard_door(settings, own, walk.recorder, walk.planning, walk.deciding, walk.live),
                identity=identity, workloads=workloads, authorities=changes, kept=kept, registers_told=kept.told,
                share=LoopShare(share=settings.gateway.loop_share_percent / 100),
                searches=_searches(settings, ledger, walk.live.leases),
            )  # fmt: skip
            await _closed(identity, walk, settings, kept)


def _searches(settings: Settings, ledger: TlogFilesLedger, leases: LeaseSide | None) -> SearchSide:
    declared = partial(declared_targets, leases)
    return SearchSide(settings.search, ledger, declared, at_once=bool(settings.logs.follow))


def _doors(walk: Walk, identity: Identity, known: KnownCallers) -> DoorDesk:
    return DoorDesk(
        authority=walk.authority,
        counters=walk.counters,
        sightings=identity.seen,
        entropy=walk.entropy,
        known=known,
        program_of=identity.observer.program,
    )


async def _closed(identity: Identity, walk: Walk, settings: Settings, kept: KeptRegisters) -> None:
    await counted_at_last(walk.recorder, walk.authority, walk.deciding)
    await kept.confirm()
    await noted_at_last(identity, walk.recorder, settings)


async def _recovered(
    walk: Walk, identity: Identity, settings: Settings, store: SqliteStore, kept: KeptRegisters
) -> tuple[Workloads, AuthorityChanges]:
    """Recover: find and end what an earlier process left open. Runs at every start, not only after a crash."""
    unreadable = await anyio.to_thread.run_sync(store.unreadable.looked_up)
    await ready_for_a_full_disk(walk.recorder, walk.authority.registry, store)
    workloads = identity.workloads(walk, settings)
    changes = AuthorityChanges(walk.recorder, identity.desk, alone=partial(alone, settings))
    # Unreadable rows count as lost, however old they are, and so do rows that others overwrote: then recount from the
    # start.
    suspect = kept.caught_up.recalled
    counted = 0 if unreadable or suspect else walk.authority.mandates.used_up_to(walk.recorder.ledger.origin)
    recover_from_ledger(walk.recorder, walk.authority, walk.counters, walk.limits)
    recalled = await restore_ended_authority(
        workloads, changes, since=counted, others=other_shards(settings), suspect=suspect
    )
    await kept.settled()
    if recalled.ends or recalled.revocations:
        _log.warning(
            "the registers are older than the ledger: %d ends and %d revocations were restored",
            recalled.ends,
            recalled.revocations,
        )
    if recalled.holds:
        _log.warning("the registers are older than the ledger: %d holds were restored", recalled.holds)
    if recalled.tokens:
        _log.warning(
            "%d issued tokens that were missing in the registers were restored to status lists",
            recalled.tokens,
        )
    if recalled.nameless:
        _log.warning(
            "people were revoked or held whose names cannot be opened, as their keys are gone; do so again with each "
            "whom `answerable revoke --list` and `answerable hold list` do not name: %d entries of the ledger, the "
            "first of them %s",
            len(recalled.nameless),
            ", ".join(map(str, recalled.nameless[:NAMELESS_SAID_MAX])),
        )
    await hold_if_pressed(
        walk.recorder, walk.authority, walk.live, walk.counters.cuts, settings.data, workloads
    )
    recover_rules(walk.recorder, walk.authority, walk.counters, walk.limits)
    await take_away_from_agents(walk.authority, walk.live)
    with when_there_is_room():
        await end_what_had_lapsed(workloads)
        await settle_open_intents(
            walk.recorder, walk.authority, walk.counters, walk.limits, overdue_only=False
        )
        # With several processes, another one may be about to record what it has just revoked.
        await record_revocations(
            walk.recorder, walk.authority, walk.live, overdue_only=bool(settings.ledger.shard)
        )
        await resume_holds(walk.recorder, walk.authority, workloads, overdue_only=bool(settings.ledger.shard))
        await anyio.to_thread.run_sync(keep_discovered_assets, identity.seen, identity.sightings)
    return workloads, changes


def _upstream(settings: Settings, clock: SystemClock, origin: str, entropy: SystemEntropy) -> McpUpstream:
    # The SDK takes half a second to import; a command that only reads the registry should not pay for it.
    from answerable.adapters.mcp_upstream.settings import UpstreamSettings
    from answerable.adapters.mcp_upstream.upstream import McpUpstream

    directory = settings.data / "upstream-logs" / settings.ledger.shard
    return McpUpstream(
        clock=clock,
        settings=UpstreamSettings(
            log_directory=directory, broker_socket=settings.broker.socket, **asdict(settings.upstreams)
        ),
        sign_warrant=warrant_signer(settings, origin, entropy),
    )


def _heads(
    settings: Settings, entropy: SystemEntropy, clock: SystemClock, witness: tuple[str, ...]
) -> LogOfLogs | None:
    if not settings.ledger.shard:
        return None
    return LogOfLogs(settings, identity=heads_identity(settings, entropy), clock=clock, witness=witness)


def authorities_of(settings: Settings, address: tuple[str, int] | None) -> frozenset[str]:
    """Return the names a caller may have signed for: the local ones and the allowed hosts, bare and with the bound
    port."""
    names = {*LOCAL_NAMES, *settings.gateway.allowed_hosts, settings.gateway.host}
    with_port = {f"{name}:{address[1]}" for name in names} if address is not None else set()
    return frozenset(name.lower() for name in names | with_port)
