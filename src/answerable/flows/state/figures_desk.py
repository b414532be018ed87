"""State of the statistics of this log while the process runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from anyio import Lock

from answerable.core.decision.latency import Latency
from answerable.core.ledger.approval_statistics import Figures
from answerable.core.ledger.oversight import Oversight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from answerable.ports.figures_register import FiguresRegister
    from answerable.ports.search_process import Traced

    Trace = Callable[[Sequence[int]], Awaitable[Sequence[Traced]]]


@dataclass(slots=True, kw_only=True)
class StatisticsState:
    """Statistics of this log.

    `figures`: None until the stored figures have been read. `register`: None if figures are not stored.
    `anew`: stored figures are ignored and everything is counted again. `reading`, `keeping`: locks for reading and
      storing.
    `latency`: of decisions, in this process.
    `oversight`: results of approvals, as far as the log was read. `looking`: lock for reading them.
    `trace`: traces effects to people, elsewhere than on the loop; None for here.
    `traces_left`: effects that may be traced now, as of `traces_at` (monotonic seconds).
    """

    figures: Figures | None = None
    register: FiguresRegister | None = None
    anew: bool = False
    kept_at: int = 0
    latency: Latency = field(default_factory=Latency)
    reading: Lock = field(default_factory=Lock)
    keeping: Lock = field(default_factory=Lock)
    oversight: Oversight = field(default_factory=Oversight)
    looking: Lock = field(default_factory=Lock)
    trace: Trace | None = None
    traces_left: float = 0.0
    traces_at: float = -inf
