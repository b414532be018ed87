"""What the author of a proposal attached to it, as `policy propose` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from answerable.apps.cli.policy_simulation import period

if TYPE_CHECKING:
    from answerable.api.members import AnyObject


class _Tests(msgspec.Struct, frozen=True):
    passed: int
    policies_untried: int


class _Simulation(msgspec.Struct, frozen=True):
    since: str
    changed: int
    asked: int


class _Attached(msgspec.Struct, frozen=True):
    tests: dict[str, _Tests] = {}
    simulation: _Simulation | None = None


def attached_lines(attached: AnyObject) -> list[str]:
    """Return what is told of it. An author who asks the API may attach anything: of what is of another shape only that
    is told, and `--json` shows it. Never raises."""
    try:
        said = msgspec.convert(attached, _Attached)
    except msgspec.ValidationError:
        return ["something of another form than `policy propose` attaches: see --json"]
    told = [
        f"tests of {name}: {one.passed} passed, {one.policies_untried} policies in none"
        for name, one in said.tests.items()
    ]
    if said.simulation is not None:
        simulated = said.simulation
        told.append(
            f"simulation: {simulated.changed} of {simulated.asked} decisions {period(simulated.since)} change"
        )
    return told or ["none: no test was run"]
