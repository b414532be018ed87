"""Contract suite of the FiguresRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from answerable.ports.figures_register import FiguresRegister

HERE, THERE = "log.example/a", "log.example/b"


def keep(
    register: FiguresRegister,
    changed: Mapping[str, bytes | None],
    *,
    origin: str = HERE,
    entries: int = 7,
    anew: bool = False,
) -> None:
    """Store the changes, with defaults for the other arguments."""
    register.keep(origin, changed, entries=entries, form=3, at=1_000 + entries, beside=b"{}", anew=anew)


class FiguresRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> FiguresRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_kept_is_found_by_log_and_as_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.kept(HERE) is None, "nothing was kept at first")
        claim(register.origins() == (), "of no log")
        keep(register, {"-1/3/support": b"[1]", "?a-1": b"[2]"})
        found = register.kept(HERE)
        if found is None:
            raise AssertionError("it is not kept")
        claim((found.entries, found.form, found.at, found.beside) == (7, 3, 1_007, b"{}"), "up to the entry")
        claim(dict(found.rows) == {"-1/3/support": b"[1]", "?a-1": b"[2]"}, "every row is itself")
        claim(register.kept(THERE) is None, "another log has figures of its own")
        keep(register, {}, origin=THERE)
        claim(register.origins() == (HERE, THERE), "both logs are named, in order")
        there = register.kept(THERE)
        claim(there is not None and not there.rows, "a log may have no row yet")

    def test_what_is_kept_again_takes_the_place_of_what_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        keep(register, {"a": b"1", "b": b"2", "c": b"3"})
        keep(register, {"a": b"4", "b": None, "nobody": None}, entries=9)
        found = register.kept(HERE)
        claim(found is not None and found.entries == 9, "the later entry counts")
        claim(found is not None and dict(found.rows) == {"a": b"4", "c": b"3"}, "one is later, one is gone")

    def test_what_is_counted_anew_has_nothing_of_before(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        keep(register, {"a": b"1", "b": b"2"})
        keep(register, {"a": b"1"}, origin=THERE)
        keep(register, {"c": b"3"}, anew=True)
        found, there = register.kept(HERE), register.kept(THERE)
        claim(found is not None and dict(found.rows) == {"c": b"3"}, "nothing of before is left")
        claim(there is not None and dict(there.rows) == {"a": b"1"}, "and the other log is as it was")


class DurableFiguresRegisterContract(FiguresRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_what_was_kept_is_there_after_a_restart(self, tmp_path: Path) -> None:
        keep(self.opened(tmp_path), {"a": b"1"})
        found = self.opened(tmp_path).kept(HERE)
        claim(found is not None and (found.entries, dict(found.rows)) == (7, {"a": b"1"}), "as it was")
