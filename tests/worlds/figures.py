"""A bench whose figures are counted, and the same counted again from its first entry."""

from __future__ import annotations

from typing import Any

from answerable.adapters.sqlite import SqliteFiguresRegister
from answerable.core.canonical import encode_ledger
from answerable.core.ledger.approval_statistics import Figures
from answerable.core.ledger.entry import StoredEntry
from answerable.core.ledger.figure_cells import COUNTED, Cell, Group
from answerable.flows.approval.keep_figures import read_figures
from answerable.testing.builders import Bench
from answerable.testing.clock import START
from answerable.testing.registers import fresh

READ, PAY = Group("1", "support"), Group("3", "support")
TRACED = ("traced", "untraced")


async def ready(**parts):
    """A bench with one mandate of scout, and a register for figures."""
    bench = await Bench(**parts).registered()
    bench.asking.figures.register = fresh(SqliteFiguresRegister)
    await bench.issue("m-1", calls_max=10_000)
    return bench


async def figures_of(bench):
    """All that the log says by now."""
    return await read_figures(bench.recorder, bench.asking.figures, seconds_max=60.0)


async def cells_of(bench, since=0):
    """By group."""
    return (await figures_of(bench)).within(since, bench.clock.now())


def counted_again(ledger):
    """From the first entry, by a counter that never kept anything."""
    figures = Figures()
    for stored in ledger.replay():
        figures.fold(stored, ledger.entry)
    return figures


def comparable(figures, now, since=0):
    """What a function of the entries alone must be; that a sample was traced is not."""
    return {group: plain(cell) for group, cell in figures.within(since, now).items()}


def plain(cell: Cell) -> dict[str, Any]:
    """A cell without what was sampled."""
    found = {name: getattr(cell, name) for name in COUNTED if name not in TRACED}
    for name in ("waits", "containing"):
        spread = getattr(cell, name)
        found[name] = (sorted(spread.exact), dict(sorted(spread.buckets.items())))
    return found


def entry(index, tag, **leaf):
    """As a log has it."""
    text = encode_ledger({"v": 2, "tag": int(tag), "at": START, **leaf})
    return StoredEntry(index=index, tag=int(tag), leaf=text, attachment=b"", leaf_hash=bytes(32))


def folded(entries):
    """Figures of entries that no walk wrote."""
    figures, known = Figures(), {}
    for one in entries:
        known[one.index] = one
        figures.fold(one, known.__getitem__)
    return figures
