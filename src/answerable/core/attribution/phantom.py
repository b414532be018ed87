"""Find phantoms: steps that succeeded by our record, without a line in the target's log, which covers their time.

Law: a step that the log does not cover on both sides, with the allowed difference of the clocks, is never a phantom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.core.attribution.step import SKEW_MS, Step

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


class Unseen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """phantoms: in the order of the ledger. uncovered: how many other succeeded steps at these targets have no line;
    the log does not cover them, so nothing is said of them."""

    phantoms: tuple[Step, ...]
    uncovered: int


def unseen(
    steps: Iterable[Step],
    *,
    targets: Collection[str],
    seen: Collection[str],
    covered: Sequence[tuple[int, int]],
) -> Unseen:
    """Return what the log does not say. targets: whose log it is. seen: action ids with a line. covered: first and last
    time of each file, in Unix milliseconds: between files the log may be missing."""
    silent = [
        one for one in steps if one.target in targets and one.status == "succeeded" and one.action not in seen
    ]
    found = tuple(one for one in silent if any(_is_within(one, first, last) for first, last in covered))
    return Unseen(phantoms=found, uncovered=len(silent) - len(found))


def _is_within(step: Step, first: int, last: int) -> bool:
    return first + SKEW_MS <= step.started and step.until + SKEW_MS <= last
