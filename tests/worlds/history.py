"""A bench whose policy set declares trackers, and the same one after a restart."""

from __future__ import annotations

from answerable.adapters.sqlite import SqliteHistoryRegister, SqliteMandateRegister
from answerable.core.decision.counter import resource_key
from answerable.core.decision.history import History
from answerable.flows.counters.keep_history import HistoryReader, keep_history
from answerable.flows.recovery.settle_open_intents import recover_from_ledger
from answerable.testing.builders import Bench, bench_documents
from answerable.testing.registers import fresh
from tests.worlds.parts import to_settle

PERMIT = '@id("all") permit (principal, action, resource);'
REFUNDS = {"name": "refunds", "over": "agent", "within": "1h", "capabilities": ["crm.refund"]}
ONE_REFUND = (
    PERMIT
    + '@id("one") @reason("one refund an hour") forbid (principal, action == Action::"crm.refund", resource) '
    + "when { context.history.refunds >= 1 };"
)


def documents_with(*trackers, policies=PERMIT):
    documents = bench_documents(policies)
    for one in documents:
        if one["kind"] == "PolicySet":
            one["spec"]["trackers"] = [{**tracker} for tracker in trackers]
    return documents


async def ready(*trackers, policies=PERMIT, **parts):
    """A bench with these trackers in force, one mandate of scout, and a register for histories."""
    parts.setdefault("history", fresh(SqliteHistoryRegister))
    bench = await Bench(**parts).registered(documents_with(*trackers, policies=policies))
    await bench.issue("m-1", calls_max=10_000)
    return bench


def restarted(bench, *, register=None, ledger=None, keep_register=True):
    """A new process over the same stores; what was only in memory is gone."""
    walk, mandates = bench.walk, fresh(SqliteMandateRegister)
    for mandate in walk.authority.mandates.all():
        mandates.add(mandate)
        if walk.authority.mandates.state(mandate.id) == "closed":
            mandates.close(mandate.id)
    origin = walk.recorder.ledger.origin
    mandates.keep_used(
        origin, walk.authority.mandates.kept_used(origin), walk.authority.mandates.used_up_to(origin)
    )
    again = Bench(
        clock=bench.clock,
        ledger=ledger or walk.recorder.ledger,
        registry=walk.authority.registry,
        mandates=mandates,
        approvals=walk.authority.approvals,
        subject_keys=walk.recorder.subject_keys,
        history=register
        or (walk.counters.history_register if keep_register else fresh(SqliteHistoryRegister)),
        limits=walk.limits,
    )
    again.sequence = bench.sequence
    recover_from_ledger(*to_settle(again.walk))
    return again


async def kept(bench):
    bench.recorder.intents.keep_budgets()
    await keep_history(bench.recorder.ledger, bench.authority.mandates, bench.counters, bench.clock)


def seen(bench, name=None, *, agent="scout", mandate="m-1", case="4711"):
    """What policies would be told now, of one tracker or of all."""
    values = bench.counters.history.values(
        agent=agent, mandate=mandate, resource=resource_key("Case", case), now=bench.clock.now()
    )
    return values[name] if name is not None else values


def told_by_the_ledger(bench):
    """The values that reading all of the ledger gives, for whoever asks."""
    history = History(bench.counters.history.trackers)
    reader = HistoryReader(bench.recorder, bench.authority, history, bench.authority.registry.current)
    for stored in bench.recorder.ledger.replay():
        reader.fold(stored)
    return history
