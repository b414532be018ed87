"""Settings become adapters, adapters become flows: by hand, in reading order."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from answerable.adapters.cedar import compiled
from answerable.adapters.local_keys import open_or_create_key
from answerable.adapters.memory.approval_channel import MemoryApprovalChannel
from answerable.adapters.sqlite import (
    SqliteApprovalRegister,
    SqliteMandateRegister,
    SqliteRegistryStore,
    SqliteStore,
)
from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.adapters.tlog_files import TlogFilesLedger, TlogFilesSettings
from answerable.core.identity.keys import ed25519_public
from answerable.core.tlog.note import VerifierKey
from answerable.errors import Unavailable
from answerable.flows.apply_registry import check_call_seconds, policy_text
from answerable.flows.settle_open_intents import (
    record_counted_refusals,
    recover_from_ledger,
    settle_open_intents,
)
from answerable.flows.verify_caller import CallerVerifier, ProofLimits
from answerable.flows.walk import Walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from answerable.adapters.mcp_upstream.upstream import McpUpstream
    from answerable.core.identity.keys import SigningKey
    from answerable.wiring.setting_tree import Settings

LOCAL_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
REGISTRY_SECONDS: Final = 0.1
"""How soon upstream connections follow a registry that changed."""
LOCK_RETRY_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Everything the doors need. log_key: verifier key of the log (C2SP signed-note)."""

    walk: Walk
    verifier: CallerVerifier
    upstream: McpUpstream
    ledger: TlogFilesLedger
    log_key: str

    def checkpoint(self) -> str:
        """The latest published checkpoint, empty when there is none yet."""
        return self.ledger.checkpoint

    def seal(self) -> str:
        """Sign and publish a checkpoint now."""
        return self.ledger.seal()

    def server_states(self) -> Mapping[str, str]:
        """Each upstream by name with one word on how it is."""
        return {state.name: state.state for state in self.upstream.states()}


@asynccontextmanager
async def assembled(
    settings: Settings,
    *,
    authorities: frozenset[str] = frozenset(LOCAL_NAMES),
    wait_seconds_max: float = 0.0,
) -> AsyncIterator[Product]:
    """The product on one data directory, recovered and settled; no door is open and no upstream started.

    authorities: `host[:port]` names under which callers may address it. wait_seconds_max: how long another process may
    still hold the directory. Raises Unavailable when it holds it longer, Broken when its log is corrupt, Malformed for
    settings that contradict one another.
    """
    # The SDK takes half a second to import; what only reads the registry should not wait for it twice.
    from answerable.adapters.mcp_upstream.settings import UpstreamSettings
    from answerable.adapters.mcp_upstream.upstream import McpUpstream

    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock, entropy = SystemClock(), SystemEntropy()
    key = open_or_create_key(settings.data / "keys" / "log.jwk", entropy=entropy)
    log_key = _log_key(settings, key)
    ledger = await _once_free(partial(_opened_ledger, settings, log_key, key, clock), wait_seconds_max)
    async with ledger:
        store = SqliteStore.open(settings.registers.database)
        try:
            registry = SqliteRegistryStore(store)
            verifier = CallerVerifier(
                registry=registry,
                clock=clock,
                entropy=entropy,
                limits=ProofLimits(authorities=authorities, **asdict(settings.proof)),
            )
            upstream = McpUpstream(
                clock=clock,
                settings=UpstreamSettings(
                    log_directory=settings.data / "upstream-logs", **asdict(settings.upstreams)
                ),
            )
            walk = Walk(
                clock=clock,
                entropy=entropy,
                ledger=ledger,
                registry=registry,
                mandates=SqliteMandateRegister(store),
                approvals=SqliteApprovalRegister(store),
                channel=MemoryApprovalChannel(),
                upstream=upstream,
                decision_point=compiled(policy_text(registry.current), registry.current),
                compile_policies=compiled,
                strangers=verifier.counts,
                limits=settings.walk,
            )
            # Recovery is the normal path, run again: what an earlier process left open is found and ended.
            recover_from_ledger(walk)
            with _when_there_is_room():
                await settle_open_intents(walk, overdue_only=False)
            yield Product(
                walk=walk, verifier=verifier, upstream=upstream, ledger=ledger, log_key=log_key.formatted()
            )
            with _when_there_is_room():
                await record_counted_refusals(walk)
        finally:
            store.close()


async def kept_running(product: Product, settings: Settings) -> None:
    """What runs beside the doors until cancelled: upstreams, checkpoints, settling.

    Raises when the log fails: the process must end then, and a restart verifies what is on disk.
    """
    # Settings may have changed since these documents were applied.
    check_call_seconds(product.walk.registry.current, upstream_ms_max=settings.walk.upstream_ms_max)
    product.upstream.apply(product.walk.registry.current.servers.values())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(product.upstream.run)
        tasks.start_soon(_following_registry, product)
        tasks.start_soon(partial(product.ledger.seal_every, settings.ledger.seal_seconds))
        tasks.start_soon(_settling, product, settings.settle.every_seconds)


async def _following_registry(product: Product) -> None:
    """Servers that are registered while we run are connected, and those removed are let go, without a restart."""
    followed = product.walk.registry.current.digest
    while True:
        await anyio.sleep(REGISTRY_SECONDS)
        current = product.walk.registry.current
        if current.digest != followed:
            product.upstream.apply(current.servers.values())
            followed = current.digest


async def _settling(product: Product, seconds: float) -> None:
    while True:
        await anyio.sleep(seconds)
        with _when_there_is_room():
            await settle_open_intents(product.walk)
            await record_counted_refusals(product.walk)


@contextmanager
def _when_there_is_room() -> Iterator[None]:
    """A log without room ends nothing: it takes no intents, and what was to be written now is due again."""
    try:
        yield
    except Unavailable as failed:
        if failed.code not in ("ledger.full", "ledger.busy"):
            raise


def _opened_ledger(
    settings: Settings, log_key: VerifierKey, key: SigningKey, clock: SystemClock
) -> TlogFilesLedger:
    return TlogFilesLedger.open(
        settings.ledger.directory,
        key=log_key,
        sign=key.sign,
        clock=clock,
        settings=TlogFilesSettings(
            segment_bytes=settings.ledger.segment_bytes,
            queue_bytes_max=settings.ledger.queue_bytes_max,
            queue_entries_max=settings.ledger.queue_entries_max,
            append_wait_seconds_max=settings.ledger.append_wait_seconds_max,
            allocation_retry_seconds=settings.ledger.allocation_retry_seconds,
        ),
    )


async def _once_free(opening: Callable[[], TlogFilesLedger], wait_seconds_max: float) -> TlogFilesLedger:
    """Try again while another process has the log: a command that works without a server is soon done."""
    give_up_at = anyio.current_time() + wait_seconds_max
    while True:
        try:
            return opening()
        except Unavailable as error:
            if error.code != "ledger.locked" or anyio.current_time() >= give_up_at:
                raise
        await anyio.sleep(LOCK_RETRY_SECONDS)


def _log_key(settings: Settings, key: SigningKey) -> VerifierKey:
    public = ed25519_public(key.public)
    origin = settings.ledger.origin or f"answerable-log-{hashlib.sha256(public).hexdigest()[:16]}"
    return VerifierKey.ed25519(origin, public)


def authorities_of(settings: Settings, address: tuple[str, int] | None) -> frozenset[str]:
    """The names a caller may have signed for: the local ones and the allowed hosts, bare and with the bound port."""
    names = {*LOCAL_NAMES, *settings.gateway.allowed_hosts, settings.gateway.host}
    with_port = {f"{name}:{address[1]}" for name in names} if address is not None else set()
    return frozenset(name.lower() for name in names | with_port)
