"""A broker's desk in memory, with targets in memory, and warrants for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from answerable.core.canonical import freeze
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.name import lease_name
from answerable.core.ledger.warrant_token import LeaseTerms, SignedWarrant
from answerable.flows.leases.lease_desk import BrokerState, DeskTarget, LeaseLimits
from answerable.flows.leases.lease_writer import LeaseWriter
from answerable.flows.leases.settle_leases import keep_settling, reopen
from answerable.testing.clock import ManualClock
from answerable.testing.entropy import SeededEntropy
from answerable.testing.memory_target import MemoryTarget
from answerable.testing.registers import fresh_leases

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from answerable.core.lease.lease import Under
    from answerable.core.registry.documents.lease_template import LeaseWindow
    from answerable.ports.lease_register import LeaseRegister

LOG = "ledger.example/one"
SCOPE = freeze({"verbs": ["get", "set"], "keys": ["case-1"]})


def warrant(
    number: int = 1,
    *,
    name: int | None = None,
    window: LeaseWindow = "action",
    target: str = "one",
    under: tuple[Under, ...] = (("mandate", "m-1"), ("agent", "scout")),
    ttl_ms: int = 60_000,
    now: int,
    key: str = "case-1",
    agent: str = "scout",
    tier: int = 1,
) -> SignedWarrant:
    """That of intent `number`, to get `key`. name: of its lease, where it is not its own."""
    arguments = {"key": key}
    action = {"arguments": arguments, "method": "tools/call", "server": "db", "target": "get"}
    return SignedWarrant(
        log=LOG,
        broker="broker",
        intent=number,
        leaf=f"{number:064x}",
        action_id=f"{number:032x}",
        digest=freeze(action).hex,
        deadline=UnixMillis(now + 10_000),
        server="db",
        mandate="m-1",
        agent=agent,
        capability="read_case",
        tier=tier,
        lease=LeaseTerms(
            name=lease_name((name or number).to_bytes(16, "big")),
            target=target,
            window=window,
            scope=SCOPE,
            expires_at=UnixMillis(now + ttl_ms),
        ),
        under=under,
    )


@dataclass(slots=True, kw_only=True)
class LeaseWorld:
    """What outlives a broker: its register and the targets."""

    clock: ManualClock = field(default_factory=ManualClock)
    register: LeaseRegister = field(default_factory=fresh_leases)
    entropy: SeededEntropy = field(default_factory=lambda: SeededEntropy(7))
    targets: dict[str, MemoryTarget] = field(default_factory=dict)

    def target(self, name: str = "one") -> MemoryTarget:
        """The target of this name, made at the first time."""
        return self.targets.setdefault(name, MemoryTarget(clock=self.clock, entropy=self.entropy))

    @asynccontextmanager
    async def broker(
        self, limits: LeaseLimits | None = None, *, targets: Mapping[str, DeskTarget] | None = None
    ) -> AsyncGenerator[BrokerState]:
        """A broker that is running, on all targets made so far or on these. It is killed when the block ends."""
        limits = limits or LeaseLimits()
        writer = LeaseWriter(self.register)
        desk = BrokerState(
            name="broker",
            register=self.register,
            writer=writer,
            clock=self.clock,
            entropy=self.entropy,
            targets=targets or {name: DeskTarget.of(one, one, limits) for name, one in self.targets.items()},
            limits=limits,
        )
        async with anyio.create_task_group() as tasks:
            desk.tasks = tasks
            tasks.start_soon(writer.run)
            tasks.start_soon(keep_settling, desk)
            reopen(desk)
            yield desk
            tasks.cancel_scope.cancel()


async def quiet(desk: BrokerState) -> None:
    """Wait until nothing is being ended."""
    await until(lambda: not desk.ending)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not is_so():  # noqa: ASYNC110 - what is waited for has no event
        await anyio.sleep(0.001)
