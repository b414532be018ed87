"""Contract suite of the PreparedRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.action.prepared import KEPT_MS, NO_CONTENT, Prepared, PreparedText
from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.mandate import MandateId
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from answerable.ports.prepared_register import PreparedRegister

RACERS = 16
TTL_MS = 60_000
SCOUT = AgentId("scout")


def sample_prepared(number: int = 0, *, agent: str = "scout", text: str = '{"a":"é"}') -> Prepared:
    """Return a sample, made a millisecond after the one before; those with the same text have the same digest."""
    content = PreparedText(format="json", text=text)
    return Prepared(
        id=f"prepared-{agent}-{number}",
        agent=AgentId(agent),
        mandate=MandateId("m-1"),
        server="crm",
        capability="crm.prepare",
        content=content,
        digest=content.digest,
        tool="1" * 64,
        manifest="",
        chain=("planner",),
        entry=40 + number,
        leaf="2" * 64,
        made_at=UnixMillis(START + number),
        expires_at=UnixMillis(START + number + TTL_MS),
    )


class PreparedRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> PreparedRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_is_kept_is_found_by_its_id_and_by_its_digest_newest_first(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        first, second, other = sample_prepared(), sample_prepared(1), sample_prepared(2, text="{}")
        for one in (first, second, other):
            claim(register.add(one, waiting_max=9), "there is room")
        claim(register.get(first.id) == first, "by its id")
        claim(list(register.named(SCOUT, first.digest)) == [second, first], "newest first")
        claim(list(register.named(AgentId("rover"), first.digest)) == [], "not for another agent")
        claim(list(register.named(SCOUT, "0" * 64)) == [], "nothing of that digest")
        claim(register.get("nobody's") is None, "nothing of that id")

    def test_an_id_is_kept_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(sample_prepared(), waiting_max=9)
        with raises(Malformed, "prepared.duplicate", "the same id again"):
            register.add(replace(sample_prepared(), entry=9), waiting_max=9)
        claim(register.get(sample_prepared().id) == sample_prepared(), "the first stays")

    def test_what_waits_is_bounded_for_each_agent(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.add(sample_prepared(0), waiting_max=2), "one")
        claim(register.add(sample_prepared(1), waiting_max=2), "two")
        claim(not register.add(sample_prepared(2), waiting_max=2), "three is too many")
        claim(register.get(sample_prepared(2).id) is None, "and is not kept")
        claim(
            register.add(sample_prepared(0, agent="rover"), waiting_max=2), "another agent has its own room"
        )
        claim(register.waiting(SCOUT, UnixMillis(START + 2)) == 2, "two wait")
        claim(register.use(sample_prepared(0).id, by="a-1", now=START), "one is used")
        claim(register.add(sample_prepared(2), waiting_max=2), "then there is room")
        late = UnixMillis(START + TTL_MS + 1)
        claim(register.waiting(SCOUT, late) == 1, "what has expired does not wait")

    def test_it_is_used_once_and_its_bytes_are_gone_then(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = sample_prepared()
        register.add(one, waiting_max=9)
        claim(register.use(one.id, by="a-1", now=START), "the first use")
        claim(not register.use(one.id, by="a-2", now=START), "no second use")
        used = replace(one, used_by="a-1", content=NO_CONTENT)
        claim(register.get(one.id) == used, "by whom is known, and its bytes are gone")
        claim(list(register.named(SCOUT, one.digest)) == [used], "it is still known by its digest")
        claim(not register.use("nobody's", by="a-1", now=START), "nothing of that id")

    def test_a_use_of_an_action_that_does_not_start_is_given_back_by_it_alone(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one, other = sample_prepared(), sample_prepared(1)
        for prepared in (one, other):
            register.add(prepared, waiting_max=9)
        for prepared in (one, other):
            claim(register.use(prepared.id, by="a-1", now=START), "both are used")
        register.give_back(one.id, by="a-2")
        claim(not register.use(one.id, by="a-2", now=START), "nobody else gives it back")
        register.give_back(one.id, by="a-1")
        claim(register.get(one.id) == one, "then it waits as before, whole")
        found = register.get(other.id)
        claim(found is not None and found.used_by == "a-1", "the other stays used")
        claim(register.use(one.id, by="a-2", now=START), "and it can be used again")

    def test_what_has_expired_cannot_be_used(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = sample_prepared()
        register.add(one, waiting_max=9)
        claim(not register.use(one.id, by="a-1", now=one.expires_at), "at its end")
        claim(register.use(one.id, by="a-1", now=UnixMillis(one.expires_at - 1)), "right before it")

    def test_long_after_it_expired_it_is_forgotten(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        old = sample_prepared()
        register.add(old, waiting_max=9)
        later = replace(sample_prepared(1), made_at=UnixMillis(old.expires_at + KEPT_MS))
        register.add(later, waiting_max=9)
        claim(register.get(old.id) == old, "known for so long")
        register.add(replace(sample_prepared(2), made_at=UnixMillis(later.made_at + 1)), waiting_max=9)
        claim(register.get(old.id) is None, "and no longer")

    def test_of_many_at_once_one_uses_it_and_the_bound_holds(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = sample_prepared()
        register.add(one, waiting_max=9)
        claim(_racing(lambda n: register.use(one.id, by=f"a-{n}", now=START)) == 1, "one uses it")
        added = _racing(lambda n: register.add(sample_prepared(n + 1), waiting_max=3))
        claim(added == 3, "as many as there is room for")


class DurablePreparedRegisterContract(PreparedRegisterContract):
    """Contract cases for registers that persist their state."""

    def stored(self, register: PreparedRegister) -> None:
        """Wait until the rows of what was used are stored; there is nothing to wait for where they are at once."""

    def test_all_of_it_survives_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one, other = sample_prepared(), sample_prepared(1, text="[1]")
        register.add(one, waiting_max=9)
        register.add(other, waiting_max=9)
        register.use(one.id, by="a-1", now=START)
        register.keep_use(one.id)
        self.stored(register)
        again = self.opened(tmp_path)
        claim(not again.use(one.id, by="a-2", now=START), "used stays used")
        claim(again.get(other.id) == other, "what waits waits")
        claim(again.use(other.id, by="a-2", now=START), "and can be used")


def _racing(call: Callable[[int], bool]) -> int:
    won: list[bool] = []
    barrier = threading.Barrier(RACERS)

    def race(number: int) -> None:
        barrier.wait()
        won.append(call(number))

    racers = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return sum(won)
