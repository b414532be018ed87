"""Contract suite of the InstanceRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.identity.names.spiffe_id import agent_instance_id, trust_domain
from answerable.core.identity.workload.evidence import Evidence
from answerable.core.identity.workload.instance import Instance
from answerable.errors import Malformed
from answerable.ports.instance_register import LostEnd
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises
from answerable.testing.samples import signing_key

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.ports.instance_register import InstanceRegister

NOW = UnixMillis(START)
RACERS = 8


def instance(
    name: str = "1", *, sub: str = "", key: str | None = None, process: str = "", agent: str = "scout"
) -> Instance:
    """Return a live instance of agent `agent`; a sub-agent of the instance `name` if `sub` is given."""
    domain = trust_domain("answerable.test")
    return Instance(
        id=agent_instance_id(domain, AgentId(agent), name, sub=sub),
        agent=AgentId(agent),
        evidence=Evidence(source="unix", grade="kernel", selectors=("unix:gid:7", "unix:uid:1000")),
        enrolled_at=NOW,
        expires_at=UnixMillis(NOW + 3_600_000),
        key=signing_key(f"{name}/{sub}" if key is None else key).public if key != "" else None,
        process=process,
        parent=str(agent_instance_id(domain, AgentId(agent), name)) if sub else "",
        manifest="a" * 64,
        drift=("model.version",),
    )


def thumbprint(one: Instance) -> str:
    """Return the thumbprint of the instance's key, which must exist."""
    assert one.key is not None  # noqa: S101 - for the type checker
    return one.key.thumbprint


class InstanceRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> InstanceRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_what_was_added_is_found_as_it_was_by_id_key_and_process(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = instance(process="boot:7:99")
        register.add(one)
        claim(register.find(one.id) == one, "an instance is found by its id, whole")
        claim(register.by_key(thumbprint(one)) == one, "and by its key")
        claim(register.by_process("boot:7:99") == one, "and by its process")
        claim(tuple(register.of_agent(one.agent)) == (one,), "and under its agent")
        claim(tuple(register.live()) == (one,), "and among all")

    def test_what_is_not_there_is_not_found(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(instance(key="", process=""))
        other = instance("2")
        claim(register.find(other.id) is None, "an unknown id finds nothing")
        claim(register.by_key(thumbprint(other)) is None, "an unknown key finds nothing")
        claim(register.by_key("") is None, "no key is nobody's key")
        claim(register.by_process("") is None, "no process is nobody's process")
        claim(not register.end(other.id, because="x"), "ending the unknown ends nothing")
        claim(not register.put(other), "what is not there is not replaced")
        claim(register.find(other.id) is None, "and does not come to be")

    def test_an_id_a_key_and_a_live_process_are_registered_once(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        register.add(instance(process="boot:7:99"))
        for again in (
            instance(key="other"),
            instance("2", key="1/"),
            instance("2", process="boot:7:99"),
        ):
            with raises(Malformed, "instance.duplicate", "what is there already is refused"):
                register.add(again)
        claim(len(tuple(register.live())) == 1, "and nothing of it is kept")
        register.add(instance("2", process="boot:7:100"))
        register.add(instance("3", key=""))
        register.add(instance("4", key=""))
        claim(len(tuple(register.live())) == 4, "instances without key or process are many")

    def test_id_and_key_are_taken_for_good_and_a_process_until_its_end(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = instance(process="boot:7:99")
        register.add(one)
        register.end(one.id, because="retired")
        register.recorded([one.id])
        claim(register.by_process("boot:7:99") is None, "an ended instance has no process any more")
        register.forget_ended(before=UnixMillis(one.expires_at + 1))
        with raises(Malformed, "instance.duplicate", "an id never comes back"):
            register.add(instance(key="other"))
        with raises(Malformed, "instance.duplicate", "nor does a key"):
            register.add(instance("2", key="1/"))
        register.add(instance("2", process="boot:7:99"))

    def test_what_is_known_about_a_live_instance_is_replaced(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = instance()
        register.add(one)
        renewed = replace(one, expires_at=UnixMillis(one.expires_at + 5), drift=(), manifest="b" * 64)
        claim(register.put(renewed), "a live one is replaced")
        claim(register.find(one.id) == renewed, "and found as it is now")
        for other in (
            replace(one, agent=AgentId("rover")),
            replace(one, key=signing_key("other").public),
            replace(one, process="boot:8:1"),
            replace(one, state="ended"),
        ):
            claim(not register.put(other), "what it is does not change")
        claim(register.find(one.id) == renewed, "and nothing was taken over")

    def test_an_ended_instance_stays_ended(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one = instance()
        register.add(one)
        gone = replace(one, state="ended", ended_because="retired")
        claim(register.end(one.id, because="retired") == (gone,), "ending tells what it ended")
        claim(register.end(one.id, because="again") == (), "once")
        claim(not register.put(one), "it is not replaced")
        claim(register.find(one.id) == gone, "and still found, ended")
        claim(register.by_key(thumbprint(one)) == gone, "by its key, too")
        claim(not tuple(register.live()) and not tuple(register.of_agent(one.agent)), "and lives no more")

    def test_sub_agents_end_with_their_parent(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        parent, other = instance(), instance("2")
        subs = [instance(sub=f"sub-{number}") for number in range(3)]
        for one in (parent, other, *subs):
            register.add(one)
        register.end(subs[0].id, because="done")
        claim(register.find(parent.id) == parent, "a parent does not end with its sub-agent")
        ended = register.end(parent.id, because="retired")
        claim([one.id for one in ended] == [parent.id, subs[1].id, subs[2].id], "parents first")
        claim(all(one.ended_because == "retired" for one in ended), "for one reason")
        claim(tuple(register.live()) == (other,), "and only they")

    def test_many_end_at_once_with_their_sub_agents_and_what_is_not_live_is_passed_over(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        ones = [instance(f"m{number}", process=f"boot:{number}:1") for number in range(5)]
        sub = instance("m1", sub="sub-1")
        for one in (*ones, sub):
            register.add(one)
        register.end(ones[3].id, because="before")
        named = [sub.id, *(one.id for one in ones[:4]), ones[0].id, instance("unknown").id]
        ended = register.end_many(named, because="agent.suspended")
        claim(
            [one.id for one in ended] == [ones[0].id, ones[1].id, ones[2].id, sub.id],
            "those that lived, once each, and parents before their sub-agents",
        )
        claim(tuple(register.live()) == (ones[4],), "and nothing else")
        claim(register.end_many(named, because="again") == (), "once")
        claim(register.end_many((), because="x") == (), "none is none")
        told = {one.id: because for one, because in register.unrecorded()}
        claim(told[sub.id] == "parent.ended", "a sub-agent ends with its parent also where both are named")
        claim(told[ones[0].id] == "agent.suspended", "and the others for the reason that was given")

    def test_an_end_is_unrecorded_until_it_is_said_to_be_recorded(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        parent, sub, live = instance(), instance(sub="sub-1"), instance("2")
        for one in (parent, sub, live):
            register.add(one)
        claim(register.unrecorded() == (), "what lives has no end to record")
        register.recorded([live.id])
        parent_gone, sub_gone = register.end(parent.id, because="retired")
        expected = ((parent_gone, "retired"), (sub_gone, "parent.ended"))
        claim(register.unrecorded() == expected, "oldest first, each with its reason")
        claim(register.unrecorded() == expected, "asking changes nothing")
        register.recorded([parent.id])
        claim(register.unrecorded() == expected[1:], "one is recorded")
        register.recorded([sub.id, instance("unknown").id])
        claim(register.unrecorded() == (), "all are")
        register.end(live.id, because="retired")
        claim(len(register.unrecorded()) == 1, "nobody records an end before there is one")

    def test_why_a_process_was_ended_is_known_as_long_as_it_matters(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        claim(register.process_ended("boot:7:99") == register.process_ended("") == "", "none has ended yet")
        one, sub = instance(process="boot:7:99"), instance(sub="sub-1", process="boot:7:99")
        register.add(one)
        register.add(sub)
        register.end(sub.id, because="sub.only")
        claim(register.process_ended("boot:7:99") == "", "the end of a sub-agent is not its parent's")
        register.end(one.id, because="instance.expired")
        claim(register.process_ended("boot:7:99") == "instance.expired", "its latest reason")
        register.add(instance("2", process="boot:7:99"))
        register.end(instance("2").id, because="operator.ended")
        claim(register.process_ended("boot:7:99") == "operator.ended", "a later reason counts")
        register.add(instance("3", process="boot:8:1"))
        register.end(instance("3").id, because="process.gone")
        register.add(instance("4", key=""))
        register.end(instance("4").id, because="operator.ended")
        claim(register.process_ended("") == "", "no process is nobody's process")
        register.recorded([found.id for found, _ in register.unrecorded()])
        register.forget_ended(before=UnixMillis(one.expires_at + 1))
        claim(register.process_ended("boot:7:99") == "operator.ended", "what bars it is never forgotten")
        claim(register.process_ended("boot:8:1") == "", "what bars nothing goes with the particulars")

    def test_why_the_instance_of_a_key_ended_is_known_for_good(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        one, live = instance(), instance("2")
        register.add(one)
        register.add(live)
        claim(register.key_ended(thumbprint(one)) == "", "it has not ended")
        register.end(one.id, because="operator.ended")
        claim(register.key_ended(thumbprint(one)) == "operator.ended", "then the reason is known")
        register.recorded([one.id])
        register.forget_ended(before=UnixMillis(one.expires_at + 1))
        claim(register.by_key(thumbprint(one)) is None, "nothing else is")
        claim(register.key_ended(thumbprint(one)) == "operator.ended", "and it is never forgotten")
        claim(
            register.key_ended(thumbprint(live)) == register.key_ended("nobody's") == "", "of that key alone"
        )

    def test_an_end_that_was_lost_takes_id_and_key_for_good(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        live, lost = instance(), instance("2")
        register.add(live)
        ends = [
            LostEnd(lost.id, thumbprint(lost), "operator.ended"),
            LostEnd(live.id, thumbprint(live), "operator.ended"),
        ]
        claim(register.take_lost(ends) == 1, "what is known stays as it is")
        claim(register.take_lost(ends) == 0, "once")
        claim(register.find(live.id) == live and not register.key_ended(thumbprint(live)), "it lives")
        claim(register.key_ended(thumbprint(lost)) == "operator.ended", "the lost one has ended")
        claim(register.find(lost.id) is None and register.unrecorded() == (), "nothing is to be recorded")
        for taken in (lost, instance("3", key="2/"), instance("2", key="other")):
            with raises(Malformed, "instance.duplicate", "id and key are taken"):
                register.add(taken)

    def test_a_sub_agent_of_what_is_not_live_is_refused(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        with raises(Malformed, "instance.parent", "there is no such parent"):
            register.add(instance(sub="sub-1"))
        register.add(instance())
        register.end(instance().id, because="retired")
        with raises(Malformed, "instance.parent", "the parent has ended"):
            register.add(instance(sub="sub-1"))

    def test_sub_agents_share_the_process_of_their_parent(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        parent = instance(process="boot:7:99")
        register.add(parent)
        register.add(instance(sub="sub-1", process="boot:7:99"))
        claim(register.by_process("boot:7:99") == parent, "the process is the parent's")

    def test_only_ended_instances_that_expired_are_forgotten(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        old, live = instance(), instance("2")
        register.add(old)
        register.add(live)
        register.end(old.id, because="retired")
        long_after = UnixMillis(old.expires_at + 1)
        claim(register.forget_ended(before=long_after) == 0, "not before their end is recorded")
        register.recorded([old.id])
        claim(register.forget_ended(before=old.expires_at) == 0, "not before they expired")
        claim(register.forget_ended(before=UnixMillis(old.expires_at + 1)) == 1, "then the ended one")
        claim(register.find(old.id) is None, "is found no more")
        claim(register.by_key(thumbprint(old)) is None, "not by its key either")
        claim(register.find(live.id) == live, "what has not ended stays")
        claim(register.forget_ended(before=UnixMillis(old.expires_at + 1)) == 0, "once")

    def test_of_many_who_race_for_one_key_one_wins(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        start, won = threading.Barrier(RACERS), []

        def race(number: int) -> None:
            start.wait()
            try:
                register.add(instance(f"r{number}", key="one"))
            except Malformed:
                return
            won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claim(len(won) == 1, "one key is one instance")
        found = register.by_key(signing_key("one").public.thumbprint)
        claim(found is not None and str(found.id).endswith(f"/r{won[0]}"), "that of the winner")

    def test_whoever_renews_while_another_ends_it_ends(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        for round_number in range(20):
            one = instance(f"e{round_number}")
            register.add(one)
            start = threading.Barrier(2)

            def renew(one: Instance = one, start: threading.Barrier = start) -> None:
                start.wait()
                for more in range(5):
                    register.put(replace(one, expires_at=UnixMillis(one.expires_at + more)))

            thread = threading.Thread(target=renew)
            thread.start()
            start.wait()
            register.end(one.id, because="retired")
            thread.join()
            found = register.find(one.id)
            claim(found is not None and found.state == "ended", "an end is an end")

    def test_the_last_sub_agent_is_known_for_good(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        parent = instance()
        claim(register.last_sub_agent(parent.id) is None, "there is none yet")
        for one in (parent, instance(sub="sub-2"), instance(sub="sub-1"), instance("2")):
            register.add(one)
        last = instance(sub="sub-1")
        register.end(last.id, because="asked")
        register.recorded([last.id])
        claim(register.forget_ended(before=UnixMillis(last.expires_at + 1)) == 1, "it is forgotten")
        claim(register.find(last.id) is None, "so that nothing else is known of it")
        claim(register.last_sub_agent(parent.id) == last.id, "but that it was the last")
        claim(register.last_sub_agent(instance("2").id) is None, "others have none")


class DurableInstanceRegisterContract(InstanceRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_everything_is_there_after_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        parent, sub, old = instance(process="boot:7:99"), instance(sub="sub-1"), instance("2")
        for one in (parent, sub, old):
            register.add(one)
        renewed = replace(parent, expires_at=UnixMillis(parent.expires_at + 5))
        register.put(renewed)
        register.end(old.id, because="retired")
        again = self.opened(tmp_path)
        claim(again.find(parent.id) == renewed, "as it was replaced")
        claim(again.by_process("boot:7:99") == renewed, "by its process")
        claim(again.by_key(thumbprint(sub)) == sub, "sub-agents, too")
        claim(again.find(old.id) == replace(old, state="ended", ended_because="retired"), "and what ended")
        with raises(Malformed, "instance.duplicate", "an id is not given twice"):
            again.add(instance("2", key="other"))

    def test_what_is_unrecorded_and_what_bars_a_process_is_there_after_a_restart(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        old, barred = instance("2"), instance("3", process="boot:8:1")
        register.add(old)
        register.add(barred)
        register.end(old.id, because="retired")
        (gone,) = register.end(barred.id, because="operator.ended", by="uid:7")
        claim(gone.ended_by == "uid:7", "an end says who wanted it")
        register.recorded([old.id])
        again = self.opened(tmp_path)
        claim(again.unrecorded() == ((gone, "operator.ended"),), "an end that is not recorded yet is told")
        claim(again.process_ended("boot:8:1") == "operator.ended", "and why a process was ended")
        again.recorded([barred.id])
        again.take_lost([LostEnd(instance("4").id, thumbprint(instance("4")), "agent.retired")])
        claim(again.forget_ended(before=UnixMillis(barred.expires_at + 1)) == 2, "then both are forgotten")
        once_more = self.opened(tmp_path)
        claim(once_more.process_ended("boot:8:1") == "operator.ended", "but not that")
        claim(once_more.key_ended(thumbprint(barred)) == "operator.ended", "nor of which key it was")
        claim(once_more.key_ended(thumbprint(instance("4"))) == "agent.retired", "nor what was lost")
