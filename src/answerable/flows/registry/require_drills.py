"""Check that documents that raise a tier have passed the required drills: a stop, a revocation and a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.containment.drill import GOOD_FOR_DAYS, raised, undrilled
from answerable.errors import Refused
from answerable.errors.codes.containment import DRILL_MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from answerable.core.containment.drill import Undrilled
    from answerable.flows.state.drill_desk import DrillState
    from answerable.ports.clock import Clock

SHOWN_MAX: Final = 10


def undrilled_in(
    drill_state: DrillState, clock: Clock, old: Mapping[str, bytes], new: Mapping[str, bytes]
) -> tuple[Undrilled, ...]:
    """Return what `new` raises above `old` without the required drills. Both: canonical documents by `kind/name`.

    Raises Refused (`drill.missing`) if the settings require drills, and Unavailable.
    """
    desk, now = drill_state, clock.now()
    missing: list[Undrilled] = []
    for wanted in raised(old, new):
        drills = desk.register.of(wanted.what) if desk.register is not None else ()
        found = undrilled(wanted, drills, now)
        missing += [found] if found is not None else []
    if missing and desk.required:
        raise _refusal(missing)
    return tuple(missing)


def _refusal(missing: Sequence[Undrilled]) -> Refused:
    told = "; ".join(
        f"{one.said()}: run {', '.join(f'`{line}`' for line in one.commands())}"
        for one in missing[:SHOWN_MAX]
    )
    rest = len(missing) - SHOWN_MAX
    more = f"; and {rest} more" if rest > 0 else ""
    return DRILL_MISSING(
        f"a higher tier requires drills that passed within {GOOD_FOR_DAYS} days on the registered "
        f"document, and a change of its tier alone: {told}{more}"
    )
