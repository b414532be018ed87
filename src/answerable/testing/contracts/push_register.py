"""Contract suite of the PushRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.approval.push_device import PushDevice
from answerable.core.identity.names.principal import PrincipalId
from answerable.errors import Refused
from answerable.ports.push_register import DEVICES_OF_ONE_MAX
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.push_register import PushRegister


def sample_device(number: int = 0, *, person: str = "bob", label: str = "phone") -> PushDevice:
    """Return a sample device with its own address."""
    return PushDevice(
        person=PrincipalId(person),
        endpoint=f"https://push.example/{number}",
        key=b"\x04" + number.to_bytes(64),
        secret=bytes(16),
        label=label,
        made_at=START,
    )


class PushRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> PushRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_device_is_found_by_its_id_and_by_its_person(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second, other = sample_device(), sample_device(1), sample_device(2, person="carol")
        for one in (first, second, other):
            register.add(one)
        claim(tuple(register.of("bob")) == (first, second), "those of the person, in order")
        claim(register.find(other.id) == other, "the one of the id")
        claim(register.find("nothing") is None, "none of another id")
        claim(tuple(register.of("dan")) == (), "none of somebody else")

    def test_an_address_is_whose_who_added_it_last(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(sample_device())
        taken = sample_device(person="carol", label="shared tablet")
        register.add(taken)
        claim(tuple(register.of("bob")) == (), "not of the one before")
        claim(tuple(register.of("carol")) == (taken,), "of the one who has it now")

    def test_one_person_has_no_more_than_the_limit_and_may_renew_what_is_there(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for number in range(DEVICES_OF_ONE_MAX):
            register.add(sample_device(number))
        with raises(Refused, "push.full", "one more is refused"):
            register.add(sample_device(99))
        register.add(sample_device(0, label="renewed"))
        claim(len(register.of("bob")) == DEVICES_OF_ONE_MAX, "renewing takes no room")
        register.add(sample_device(99, person="carol"))

    def test_a_device_is_its_persons_to_remove_and_ours(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second = sample_device(), sample_device(1)
        register.add(first)
        register.add(second)
        claim(not register.remove(first.id, person="carol"), "nobody else's")
        claim(register.remove(first.id, person="bob"), "theirs")
        claim(not register.remove(first.id, person="bob"), "once")
        claim(register.remove(second.id), "and ours")
        claim(tuple(register.of("bob")) == (), "gone")


class DurablePushRegisterContract(PushRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_a_restart_forgets_nothing(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(sample_device())
        claim(tuple(self.opened(tmp_path).of("bob")) == (sample_device(),), "all of it")
