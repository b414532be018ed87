"""Two processes with a log each, over one registry, as the rule about dormant agents sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

from answerable.adapters.sqlite import SqliteAgentUses, SqliteInstanceRegister
from answerable.core.identity.names.principal import AgentId
from answerable.flows.trust_domain.workloads import Workloads
from answerable.flows.workloads.enrol_workload import enrol
from answerable.flows.workloads.suspend_dormant import Dormancy, suspend_dormant
from answerable.testing.builders import Bench, memory_ledger
from answerable.testing.entropy import SeededEntropy
from answerable.testing.memory_ledger import MemoryLedger
from answerable.testing.registers import fresh
from tests.worlds.enrolment import attested_documents, evidence_of, workloads_over
from tests.worlds.shard import key_of as log_key_of

DAY = 86_400
DAYS = 5


@dataclass
class Shards:
    """Two processes with a log each, over one registry, one register of instances and one of uses."""

    a: Workloads
    b: Workloads
    bench: Bench
    uses: SqliteAgentUses = field(default_factory=lambda: fresh(SqliteAgentUses))
    unpublished: int = 0

    def published(self) -> dict[str, int]:
        """What strangers see of both logs."""
        sizes = {one.recorder.ledger.origin: one.recorder.ledger.size for one in (self.a, self.b)}
        sizes[self.b.recorder.ledger.origin] -= self.unpublished
        return sizes

    async def round(self, one: Workloads, dormancy: Dormancy) -> tuple[AgentId, ...]:
        return await suspend_dormant(one, self.uses, dormancy, days=DAYS, logs=self.published)

    async def used(self, one: Workloads, uid: int) -> None:
        """An agent is enrolled there and ends at once, so that only the log knows of it."""
        process = f"boot:{uid}:{self.bench.clock.now()}"
        made = await enrol(one, evidence=evidence_of(*selectors(uid)), key=None, process=process)
        one.instances.end(made.id, because="asked")

    async def passed(self, days: int, *, scout_at: Workloads | None = None) -> None:
        """Days on each of which a saw rover, and somebody, perhaps, scout."""
        for _ in range(days):
            self.bench.clock.advance(DAY)
            await self.used(self.a, 2000)
            if scout_at is not None:
                await self.used(scout_at, 1000)


def selectors(uid: int) -> tuple[str, ...]:
    return ("unix:path:/opt/scout", f"unix:uid:{uid}") if uid == 1000 else (f"unix:uid:{uid}",)


async def shards() -> Shards:
    bench = await Bench().registered(attested_documents())
    clock, registry = bench.clock, bench.authority.registry
    origin = "answerable.test/b"
    key, signer = log_key_of(origin)
    other = Bench(
        clock=clock,
        entropy=SeededEntropy("b"),
        ledger=MemoryLedger(key=key, sign=signer.sign, clock=clock),
        registry=registry,
        subject_keys=bench.recorder.subject_keys,
    )
    assert memory_ledger(clock).origin < origin, "a is the one that judges"
    instances = fresh(SqliteInstanceRegister)
    a, b = workloads_over(bench.walk), workloads_over(other.walk)
    a.instances = b.instances = instances
    return Shards(a=a, b=b, bench=bench)
