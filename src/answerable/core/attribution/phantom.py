"""Find phantoms: steps that succeeded by our record, without a line in the target's log, which covers their time.

Laws: a step that the log does not cover on both sides, with the allowed difference of the clocks, is never a phantom;
steps of a covered time that were not compared are counted, so that silence is not taken for agreement.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from answerable.core.attribution.step import SKEW_MS, Step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


class Unseen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """phantoms: in the order of the ledger. compared: how many succeeded steps have a line, or were looked for.
    uncovered: how many other succeeded steps at these targets have no line; the log does not cover them, so nothing is
    said of them. elsewhere: succeeded steps of a covered time by target, for targets that were not compared."""

    phantoms: tuple[Step, ...]
    compared: int
    uncovered: int
    elsewhere: dict[str, int]


def unseen(
    steps: Iterable[Step],
    *,
    targets: Collection[str],
    seen: Collection[str],
    covered: Sequence[tuple[int, int]],
) -> Unseen:
    """Return what the log does not say. targets: whose log it is. seen: action ids with a line. covered: first and last
    time of each file, in Unix milliseconds: between files the log may be missing."""
    succeeded = [one for one in steps if one.status == "succeeded"]
    here = [one for one in succeeded if one.target in targets]
    silent = [one for one in here if one.action not in seen]
    found = tuple(one for one in silent if _is_covered(one, covered))
    uncovered = len(silent) - len(found)
    others = (one for one in succeeded if one.target not in targets and _is_covered(one, covered))
    return Unseen(
        phantoms=found,
        compared=len(here) - uncovered,
        uncovered=uncovered,
        elsewhere=dict(Counter(one.target for one in others)),
    )


def _is_covered(step: Step, covered: Sequence[tuple[int, int]]) -> bool:
    return any(first + SKEW_MS <= step.started and step.until + SKEW_MS <= last for first, last in covered)
