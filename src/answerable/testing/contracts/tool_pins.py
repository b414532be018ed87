"""Contract suite of the ToolPinRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING

from answerable.core.canonical import encode
from answerable.core.identity.names.principal import PrincipalId, UnixMillis
from answerable.core.registry.tools.tool_pin import ToolPin
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.tool_pins import ToolPinRegister

RACERS = 8


def sample_pin(
    description: str = "Reads a case", *, tool: str = "get_case", at: int = 0, by: str = "alice"
) -> ToolPin:
    """Return a definition in force. at: milliseconds after the start of the tests' clock. by: empty for a pin on first
    sight."""
    text = encode({"name": tool, "description": description, "inputSchema": {"type": "object"}})
    return ToolPin(
        server="crm",
        tool=tool,
        definition=sha256(text).hexdigest(),
        text=text,
        at=UnixMillis(START + at),
        signed_by=PrincipalId(by) if by else "",
        key="a key" if by else "",
        token=f"the token of {at}" if by else "",
    )


class ToolPinRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> ToolPinRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_put_is_in_force_as_it_was(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.current("crm", "get_case") is None, "a tool that nobody spoke of has none")
        claim(list(register.history("crm", "get_case")) == [], "and no history")
        pin, other = sample_pin(), sample_pin(tool="refund", by="")
        register.put(pin, over="")
        register.put(other, over="")
        claim(register.current("crm", "get_case") == pin, "it is found whole")
        claim(register.current("crm", "refund") == other, "each tool has its own, signed or not")
        claim(register.current("pay", "get_case") is None, "and so has each server")
        claim(list(register.all()) == [pin, other], "all are listed by name")

    def test_one_takes_the_place_of_the_one_it_names_and_of_no_other(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_pin(), sample_pin("Sends a case", at=1)
        register.put(first, over="")
        for over in ("", second.definition):
            with raises(Malformed, "tool.pin_outdated", "another one is in force than it names"):
                register.put(second, over=over)
        register.put(second, over=first.definition)
        claim(register.current("crm", "get_case") == second, "the later one is in force")
        claim(list(register.history("crm", "get_case")) == [second, first], "newest first, none is lost")

    def test_an_earlier_one_does_not_come_back(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        now = sample_pin(at=5)
        register.put(now, over="")
        for at in (4, 5):
            with raises(Malformed, "tool.older", "one that was not signed later is refused"):
                register.put(sample_pin("Sends a case", at=at), over=now.definition)
        claim(list(register.history("crm", "get_case")) == [now], "what was refused leaves no trace")

    def test_the_same_again_changes_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.put(sample_pin(), over="")
        register.put(sample_pin(), over="")
        claim(len(register.history("crm", "get_case")) == 1, "there is still one")

    def test_of_many_at_once_over_the_same_one_is_taken(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        waiting = threading.Barrier(RACERS)
        taken: list[ToolPin] = []

        def put(number: int) -> None:
            pin = sample_pin(f"Reads case {number}", at=number)
            waiting.wait()
            try:
                register.put(pin, over="")
            except Malformed as refused:
                claim(refused.code == "tool.pin_outdated", "a loser is told that another one is in force")
            else:
                taken.append(pin)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claim(len(taken) == 1, "one is taken")
        claim(list(register.history("crm", "get_case")) == taken, "and that is the one in force")


class DurableToolPinRegisterContract(ToolPinRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_pins_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_pin(), sample_pin("Sends a case", at=1)
        register.put(first, over="")
        register.put(second, over=first.definition)
        again = self.opened(tmp_path)
        claim(again.current("crm", "get_case") == second, "the one in force is in force")
        claim(list(again.history("crm", "get_case")) == [second, first], "with all before it")
