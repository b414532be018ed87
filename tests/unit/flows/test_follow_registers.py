"""What another process wrote into shared registers holds here, too, and nothing that was written at once is lost."""

from __future__ import annotations

import pytest

from answerable.adapters.memory.registers import MemoryRegistryStore
from answerable.core.canonical import encode
from answerable.core.registry.parse import document_key
from answerable.errors import Malformed, Refused, Unavailable
from answerable.flows.apply_registry import apply_registry
from answerable.flows.follow_registers import follow_registers
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.samples import document
from answerable.testing.trouble import Fault, Trouble, TroubledLedger

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("SHARD-08")]

NOTHING = '@id("none") @reason("closed for today") forbid (principal, action, resource);'


class Shared(MemoryRegistryStore):
    """A registry that another process writes to: what it wrote is seen after `refresh`."""

    elsewhere: dict[str, bytes] | None = None

    def refresh(self) -> bool:
        news, self.elsewhere = self.elsewhere, None
        if news is not None:
            self.put(news)
        return news is not None


def stored(policies: str) -> dict[str, bytes]:
    return {document_key(one): encode(one) for one in bench_documents(policies)}


async def test_policies_that_another_process_applied_decide_here():
    registry = Shared()
    bench = await Bench(registry=registry).registered()
    await bench.issue()
    assert follow_registers(bench.walk, registry.refresh) is False
    assert (await bench.act()).outcome is not None
    registry.elsewhere = stored(NOTHING)
    assert follow_registers(bench.walk, registry.refresh) is True
    with pytest.raises(Refused) as told:
        await bench.act()
    assert "closed for today" in told.value.message


async def test_news_of_other_things_leave_the_policies_alone():
    bench = await Bench().registered()
    before = bench.walk.decision_point
    assert follow_registers(bench.walk, lambda: True) is True
    assert bench.walk.decision_point is before


async def test_documents_that_would_not_have_been_applied_here_end_the_process():
    registry = Shared()
    bench = await Bench(registry=registry).registered()
    slow = document("Server", "crm", {"command": "crm-server", "callSecondsMax": 3_000})
    registry.elsewhere = {**stored(NOTHING), "Server/crm": encode(slow)}
    with pytest.raises(Malformed) as told:
        follow_registers(bench.walk, registry.refresh)
    assert told.value.code == "registry.call_seconds"


async def test_documents_applied_elsewhere_meanwhile_are_not_overwritten():
    registry = Shared()
    bench = await Bench(registry=registry).registered()

    def plan(_number: int, method: str) -> Fault | None:
        if method == "ledger.submit":
            registry.elsewhere = stored(NOTHING)
            registry.refresh()
        return None

    bench.walk.ledger = TroubledLedger(bench.walk.ledger, Trouble(plan))
    with pytest.raises(Unavailable) as told:
        await apply_registry(bench.walk, [document("Principal", "eve", {"groups": ["sales"]})], by="operator")
    assert told.value.code == "register.changed_meanwhile"
    assert registry.documents() == stored(NOTHING)
