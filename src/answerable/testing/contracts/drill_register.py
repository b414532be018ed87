"""Contract suite of the DrillRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from answerable.core.containment.drill import Drill, Drilled, DrillId, Milestone
from answerable.core.identity.names.principal import UnixMillis
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.core.containment.drill import DrillKind
    from answerable.ports.drill_register import DrillRegister


def sample_drill(number: int = 1, *, name: str = "scout", kind: DrillKind = "stop", at: int = 1_000) -> Drill:
    """Return a drill of an agent with one fault."""
    return Drill(
        id=DrillId(f"drill_{number:022d}"),
        kind=kind,
        what=Drilled("agent", name),
        definition="a" * 64,
        shadow=f"drill-{name}-1",
        at=UnixMillis(at),
        by="uid:1000",
        actions=12,
        faults=("the instance lives on",),
        took=(Milestone("blocked", 3), Milestone("approvals", 2)),
    )


class DrillRegisterContract(ABC):
    """Contract cases for any register."""

    @abstractmethod
    def opened(self, tmp_path: Path) -> DrillRegister:
        """Open the register; for the same directory, the same register again if it is durable."""

    def test_what_was_put_is_found_by_what_it_is_of_newest_first(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second, other = sample_drill(1), sample_drill(2, kind="trace"), sample_drill(3, name="rover")
        claim(register.put([first]) == 1, "a new drill is kept")
        claim(register.put([second, other]) == 2, "two new drills are kept")
        claim([*register.of(first.what)] == [second, first], "of one agent, newest first")
        claim([*register.all()] == [other, second, first], "all of them, newest first")
        claim(not register.of(Drilled("capability", "scout")), "a capability is no agent")

    def test_what_is_known_is_never_changed(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put([sample_drill(1)])
        claim(register.put([sample_drill(1, name="rover"), sample_drill(2)]) == 1, "one of two is known")
        found = [one.id for one in register.all()]
        claim(found == [sample_drill(2).id, sample_drill(1).id], "the new one is kept beside the known")
        claim(bool(register.of(sample_drill(1).what)), "the known one is as it was")


class DurableDrillRegisterContract(DrillRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_another_process_finds_what_was_put(self, tmp_path: Path) -> None:
        one, other = self.opened(tmp_path), self.opened(tmp_path)
        one.put([sample_drill(1)])
        claim([*other.all()] == [sample_drill(1)], "another process finds it")
