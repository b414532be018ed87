"""Contract suite of the EventRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.incident.event_stream import EventStream
from answerable.ports.event_register import QueueState, Waiting
from answerable.testing.contracts.claims import claim

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.event_register import EventRegister

LOG = "log.example"
RACERS = 8


def sample_stream(name: str = "one") -> EventStream:
    """Return a stream with a value in every member."""
    return EventStream(
        id=name,
        receiver="siem",
        method="push",
        endpoint="https://siem.example/events",
        authorization="Bearer s",
        requested=("urn:x",),
        description="what ends",
        status="enabled",
        reason="because",
        removed=('{"format":"opaque","id":"x"}',),
        groups=("leads",),
        stops=False,
        since={LOG: 7},
        refused=1,
        left_out=2,
        update="u",
        verified_at=3,
    )


def sample_event(name: str, stream: str = "one") -> Waiting:
    """Return a sample event."""
    return Waiting(stream=stream, id=name, at=5, body=b'{"id":"%b"}' % name.encode())


class EventRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> EventRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def with_streams(self, tmp_path: Path, *names: str) -> EventRegister:
        """Open a register that has these streams."""
        register = self.opened(tmp_path)
        for name in names or ("one",):
            register.put(sample_stream(name))
        return register

    def test_a_stream_is_found_whole_and_listed_in_the_order_it_was_made(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.streams() == () and register.find("one") is None, "nothing is there at first")
        claim(register.put(sample_stream()), "it is kept")
        claim(register.put(sample_stream("two")), "and another one")
        wanted = [replace(sample_stream(name), revision=1) for name in ("one", "two")]
        claim(list(register.streams()) == wanted, "both, whole, in order")
        claim(register.find("two") == wanted[1], "each by its id")

    def test_of_two_who_change_a_stream_one_is_told_that_it_was_changed(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path)
        claim(not register.put(sample_stream()), "a new one of an id that is there is refused")
        seen = replace(sample_stream(), revision=1)
        claim(register.put(replace(seen, status="paused")), "the first change is kept")
        claim(not register.put(replace(seen, status="disabled")), "the other one is not")
        found = register.find("one")
        claim(found is not None and (found.status, found.revision) == ("paused", 2), "and changes nothing")

    def test_a_stream_that_is_removed_takes_what_waits_along_and_is_not_put_back(
        self, tmp_path: Path
    ) -> None:
        register = self.with_streams(tmp_path)
        seen = replace(sample_stream(), revision=1)
        register.add([sample_event("a")], waiting_max=9)
        register.remove("one")
        register.remove("none")
        claim(not register.put(seen), "who changes it meanwhile is told")
        register.put(sample_stream())
        claim(register.waiting("one", count_max=9) == (), "a new one of that name begins empty")

    def test_events_wait_in_order_until_they_are_taken(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path, "one", "two")
        events = [sample_event(name) for name in "cab"]
        register.add([*events, sample_event("a", "two")], waiting_max=9)
        claim(list(register.waiting("one", count_max=9)) == events, "in the order they were added")
        claim(list(register.waiting("one", count_max=2)) == events[:2], "no more than are asked for")
        claim(register.taken("one", ["a", "x"], only_shown=False) == 1, "one of these was there")
        claim([one.id for one in register.waiting("one", count_max=9)] == ["c", "b"], "and waits no more")
        claim(len(register.waiting("two", count_max=9)) == 1, "nothing of another stream is touched")
        register.drop("one")
        claim(register.queue("one").waiting == 0 and register.queue("two").waiting == 1, "dropped alone")

    def test_an_event_is_in_its_stream_once_and_in_no_stream_that_is_not_there(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path)
        register.add([sample_event("a"), sample_event("a"), sample_event("b", "none")], waiting_max=9)
        register.add([sample_event("a")], waiting_max=1)
        claim(register.queue("one") == QueueState(waiting=1), "once, and nothing is counted for it")
        claim(register.queue("none") == QueueState(), "none for no stream")

    def test_what_a_full_stream_cannot_take_is_counted(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path, "one", "two")
        register.add([sample_event(name) for name in "abcde"], waiting_max=3)
        register.add([sample_event("a", "two")], waiting_max=3)
        claim(register.queue("one") == QueueState(waiting=3, left_out=2), "three wait, two are counted")
        register.taken("one", ["a"], only_shown=False)
        register.add([sample_event("f")], waiting_max=3)
        claim(
            [one.id for one in register.waiting("one", count_max=9)] == ["b", "c", "f"], "room is used again"
        )
        claim(register.queue("two").left_out == 0, "each stream for itself")

    def test_only_what_was_shown_is_taken_by_one_who_polls(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path, "one", "two")
        register.add([sample_event("a"), sample_event("b"), sample_event("a", "two")], waiting_max=9)
        register.shown("one", ["a"])
        claim(register.taken("one", ["a", "b"], only_shown=True) == 1, "one was shown")
        claim(register.taken("one", ["a"], only_shown=True) == 0, "and is taken once")
        claim(register.taken("two", ["a"], only_shown=True) == 0, "not what another one was shown")
        claim([one.id for one in register.waiting("one", count_max=9)] == ["b"], "the other one waits")

    def test_how_far_a_log_was_read_never_goes_back(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path)
        claim(register.read_to(LOG) is None, "not read at first")
        register.add([], waiting_max=9, log=LOG, read_to=7)
        register.add([], waiting_max=9, log=LOG, read_to=5)
        register.add([sample_event("a")], waiting_max=9)
        claim(register.read_to(LOG) == 7 and register.read_to("another") is None, "the furthest, of that log")

    def test_one_at_a_time_has_a_stream_and_a_claim_ends(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path)
        claim(register.claim("one", now=100, until=200), "free at first")
        claim(not register.claim("one", now=150, until=250), "not while another one has it")
        claim(register.claim("one", now=200, until=300), "free again when its time is over")
        register.release("one", attempts=3, next_at=400)
        claim(register.queue("one") == QueueState(attempts=3, next_at=400), "what is said of it is kept")
        claim(register.claim("one", now=301, until=400), "free when it was given back")
        claim(
            register.claim("one", now=10, until=110), "a claim from a clock that was set back since is none"
        )
        claim(not register.claim("none", now=1, until=2), "no stream is nobody's")

    def test_of_many_who_claim_at_once_one_has_it(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path)
        had: list[bool] = []

        def take() -> None:
            had.append(register.claim("one", now=100, until=200))

        threads = [threading.Thread(target=take) for _ in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claim(sum(had) == 1, f"one of {RACERS}, got {sum(had)}")


class DurableEventRegisterContract(EventRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_streams_and_what_waits_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.with_streams(tmp_path)
        events = [sample_event(name) for name in "abc"]
        register.add(events, waiting_max=2, log=LOG, read_to=9)
        register.release("one", attempts=2, next_at=7)
        again = self.opened(tmp_path)
        claim(list(again.waiting("one", count_max=9)) == events[:2], "what waits, in order")
        claim(again.queue("one") == QueueState(waiting=2, left_out=1, attempts=2, next_at=7), "how it stands")
        claim(again.read_to(LOG) == 9, "how far was read")
        claim(again.find("one") == replace(sample_stream(), revision=1), "the stream, whole")

    def test_what_another_opening_did_is_seen_at_the_next_call(self, tmp_path: Path) -> None:
        here, there = self.with_streams(tmp_path), self.opened(tmp_path)
        there.add([sample_event("a")], waiting_max=9)
        claim(len(here.waiting("one", count_max=9)) == 1, "an event")
        claim(there.claim("one", now=1, until=5), "a claim")
        claim(not here.claim("one", now=2, until=6), "holds here")
        there.remove("one")
        claim(here.streams() == (), "and what is gone is gone")
