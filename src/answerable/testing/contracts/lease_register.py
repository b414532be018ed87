"""Contract suite of the LeaseRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.canonical import INTEGER_MAX
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.lease.credential import Revoked
from answerable.core.lease.lease import Lease
from answerable.core.lease.name import lease_name
from answerable.errors import Unavailable
from answerable.ports.lease_register import Redemption
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.lease_register import LeaseRegister

LOG = "ledger.example/one"
NOW = UnixMillis(START)


def sample_lease(number: int = 1, *, log: str = LOG, target: str = "prod-db") -> Lease:
    """Return a lease that was named and is not issued yet."""
    return Lease(
        name=lease_name(number.to_bytes(16, "big")),
        target=target,
        window="action",
        log=log,
        intent=number,
        mandate="m-1",
        agent="scout",
        capability="read_case",
        under=(("mandate", "m-1"), ("agent", "scout"), ("credential", target)),
        scope="0" * 64,
        named_at=NOW,
        expires_at=UnixMillis(NOW + 60_000),
    )


def sample_redemption(number: int = 1, lease: Lease | None = None, *, log: str = LOG) -> Redemption:
    """Return the redemption of the warrant of this intent."""
    return Redemption(log=log, intent=number, deadline=UnixMillis(NOW + 10_000), lease=lease)


def issued(lease: Lease) -> Lease:
    """Return the lease after the target has issued it."""
    return lease.issued(NOW, account=f"ans_{lease.name}", expires_at=lease.expires_at)


class LeaseRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> LeaseRegister:
        """Open a register that stores its state, if at all, in that directory."""
        raise NotImplementedError

    def test_a_warrant_is_redeemed_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        lease = sample_lease()
        claim(register.redeem([sample_redemption(1, lease)]) == ["taken"], "it is new")
        claim(register.get(lease.name) == lease, "its lease is there, whole")
        again = register.redeem([sample_redemption(1, sample_lease(2)), sample_redemption(1)])
        claim(again == ["spent", "spent"], "and never again")
        claim(register.get(sample_lease(2).name) is None, "what came with it left nothing")
        other = register.redeem([sample_redemption(1, sample_lease(3, log="other"), log="other")])
        claim(other == ["taken"], "the same number of another log is another one")

    def test_of_several_at_once_one_is_taken(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        answers = register.redeem([sample_redemption(7), sample_redemption(8), sample_redemption(7)])
        claim(answers == ["taken", "taken", "spent"], "in their order")

    def test_a_name_is_used_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        lease = sample_lease()
        register.redeem([sample_redemption(1, lease)])
        claim(
            register.redeem([sample_redemption(2, lease)]) == ["name_used"], "another warrant, the same name"
        )
        claim(register.redeem([sample_redemption(2)]) == ["taken"], "which left the warrant as it was")
        register.put([lease.ended(NOW, Revoked(), why="over")])
        claim(register.redeem([sample_redemption(3, lease)]) == ["name_used"], "an ended one is no other")

    def test_a_lease_stands_as_it_was_put_last(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        lease = sample_lease()
        register.redeem([sample_redemption(1, lease)])
        for stands in (
            issued(lease),
            issued(lease).used(NOW),
            issued(lease).unrevoked(NOW, "the target is away", why="held", jitter=0.5),
        ):
            register.put([stands])
            claim(register.get(lease.name) == stands, "read back whole")
            claim(list(register.open_leases()) == [stands], "and open")
        ended = issued(lease).ended(NOW, Revoked(sessions_cut=2, left=("a",), live_until=9), why="held")
        register.put([ended])
        claim(register.get(lease.name) == ended, "as it ended")
        claim(not list(register.open_leases()), "and open no more")
        claim(list(register.ended(5)) == [ended], "but remembered")

    def test_changes_are_told_in_order_and_each_lease_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.last_change() == 0, "nothing yet")
        leases = [sample_lease(number) for number in (1, 2, 3)]
        register.redeem([sample_redemption(lease.intent, lease) for lease in leases])
        register.redeem([sample_redemption(9, sample_lease(9, log="other"), log="other")])
        register.put([issued(leases[0])])
        changes = register.changes(LOG, 0)
        claim([one.lease for one in changes] == [leases[1], leases[2], issued(leases[0])], "last states")
        numbers = [one.number for one in changes]
        claim(numbers == sorted(set(numbers)), "numbers grow")
        claim(register.last_change() == numbers[-1], "the last is the last")
        claim(list(register.changes(LOG, numbers[1])) == list(changes[2:]), "after one of them")
        claim(list(register.changes(LOG, 0, 1)) == list(changes[:1]), "no more than asked for")
        claim(not register.changes(LOG, numbers[-1]), "and none after the last")

    def test_what_was_written_down_elsewhere_never_goes_back(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.acknowledged(LOG) is None, "nothing yet")
        for number, known in ((0, 0), (3, 3), (9, 9), (4, 9)):
            register.acknowledge(LOG, number)
            claim(register.acknowledged(LOG) == known, "the furthest counts")
        claim(register.acknowledged("other") is None, "each log has its own")

    def test_what_works_on_after_its_end_is_told_until_it_does_not(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        leases = [sample_lease(number) for number in range(1, 5)]
        register.redeem([sample_redemption(lease.intent, lease) for lease in leases])
        for lease, until in zip(leases, (0, NOW + 50, NOW + 90, INTEGER_MAX), strict=True):
            left = Revoked(left=("a token",) if until else (), live_until=until)
            register.put([issued(lease).ended(NOW, left, why="held")])
        told = [lease.name for lease in register.left(NOW, 9)]
        claim(told == [leases[1].name, leases[2].name], "those, by name; what stands for good is no lease's")
        claim([lease.name for lease in register.left(NOW, 1)] == told[:1], "no more than asked for")
        claim([lease.name for lease in register.left(NOW, 9, after=told[0])] == told[1:], "after one of them")
        claim([lease.name for lease in register.left(UnixMillis(NOW + 50), 9)] == told[1:], "until its time")
        gone = register.forget(ended_before=UnixMillis(NOW + 60), limit=9)
        claim(gone == 3, "and it is not forgotten before")
        claim([lease.name for lease in register.left(NOW, 9)] == told[1:], "the other one stays")

    def test_what_ended_long_ago_is_forgotten_and_what_is_open_never(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        leases = [sample_lease(number) for number in range(1, 6)]
        register.redeem([sample_redemption(lease.intent, lease) for lease in leases])
        for lease in leases[:4]:
            register.put([issued(lease).ended(UnixMillis(NOW + lease.intent), Revoked(), why="over")])
        before, last = UnixMillis(NOW + 1_000_000), register.last_change()
        claim(register.forget(ended_before=UnixMillis(NOW + 3), limit=9) == 2, "those before")
        claim(register.forget(ended_before=before, limit=1) == 1, "no more than asked for")
        claim(register.forget(ended_before=before, limit=9) == 1, "the rest")
        claim(list(register.open_leases()) == [leases[4]], "what is open stays")
        claim(register.last_change() == last, "numbers do not come again")
        claim(register.redeem([sample_redemption(1)]) == ["taken"], "its deadline was over")


class DurableLeaseRegisterContract(LeaseRegisterContract):
    """Contract cases for registers that persist their state and belong to one process at a time."""

    def closed(self, register: LeaseRegister) -> None:
        """Release the register, as a process does that ends."""
        raise NotImplementedError

    def test_what_was_taken_is_there_after_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.redeem([sample_redemption(1, sample_lease()), sample_redemption(2)])
        register.put([issued(sample_lease())])
        last = register.last_change()
        self.closed(register)
        register = self.opened(tmp_path)
        claim(register.redeem([sample_redemption(1), sample_redemption(2)]) == ["spent"] * 2, "still spent")
        claim(list(register.open_leases()) == [issued(sample_lease())], "still open")
        register.put([sample_lease(5)])
        claim(register.last_change() > last, "numbers go on")

    def test_two_brokers_never_have_it(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        with raises(Unavailable, "register.in_use", "a second broker"):
            self.opened(tmp_path)
        self.closed(register)
        self.closed(self.opened(tmp_path))
