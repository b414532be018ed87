"""The public test bench for adapters and integrations: deterministic clock and randomness, faults, builders,
simulation, contract suites.

from answerable.testing import Bench, simulate

Each name is imported on first access: a test that needs only the clock does not import Cedar and SQLite.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from answerable.testing.builders import Bench, bench_documents
    from answerable.testing.clock import ManualClock
    from answerable.testing.disks import FileDisk, MemoryDisk
    from answerable.testing.entropy import SeededEntropy
    from answerable.testing.fault_injection import Trouble
    from answerable.testing.faults import FaultyLedger
    from answerable.testing.invariants import broken_laws
    from answerable.testing.policy_model import ModelPolicy
    from answerable.testing.recording_upstream import RecordingUpstream
    from answerable.testing.simulation import Simulation, simulate

_PLACES: Final = {
    "Bench": "answerable.testing.builders",
    "FaultyLedger": "answerable.testing.faults",
    "FileDisk": "answerable.testing.disks",
    "ManualClock": "answerable.testing.clock",
    "MemoryDisk": "answerable.testing.disks",
    "ModelPolicy": "answerable.testing.policy_model",
    "RecordingUpstream": "answerable.testing.builders",
    "SeededEntropy": "answerable.testing.entropy",
    "Simulation": "answerable.testing.simulation",
    "Trouble": "answerable.testing.fault_injection",
    "bench_documents": "answerable.testing.builders",
    "broken_laws": "answerable.testing.invariants",
    "simulate": "answerable.testing.simulation",
}

__all__ = [
    "Bench",
    "FaultyLedger",
    "FileDisk",
    "ManualClock",
    "MemoryDisk",
    "ModelPolicy",
    "RecordingUpstream",
    "SeededEntropy",
    "Simulation",
    "Trouble",
    "bench_documents",
    "broken_laws",
    "simulate",
]


def __getattr__(name: str) -> object:
    """Return a public name of the bench. Raises AttributeError."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"the test bench has no `{name}`")
    return getattr(import_module(place), name)
