"""Contract suite of the TokenRegister port. To test an adapter, subclass it and implement `opened`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from answerable.core.identity.names.principal import AgentId, UnixMillis
from answerable.core.mandate.issued_token import IssuedToken, StatusPlace
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.mandate.status_list import StatusList
from answerable.core.mandate.status_places import LIST_BYTES, TOKENS_PER_LIST_MAX
from answerable.errors import Malformed
from answerable.testing.clock import START
from answerable.testing.contracts.claims import claim, raises

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from answerable.ports.token_register import TokenRegister


def sample_token(
    jti: str,
    *,
    place: StatusPlace,
    parent: str = "",
    agent: str = "scout",
    seconds: int = 60,
    through: Iterable[RevocationTarget] = (),
    **more: str,
) -> IssuedToken:
    """Return a token of the sample mandate."""
    return IssuedToken(
        jti=jti,
        parent=parent,
        par_hash=f"hash-of-{jti}",
        mandate=MandateId(more.get("mandate", "m-1")),
        agent=AgentId(agent),
        key=more.get("key", f"key-of-{agent}"),
        manifest=more.get("manifest", ""),
        trust_domain=more.get("trust_domain", "example.org"),
        instance=more.get("instance", ""),
        expires_at=UnixMillis(START + seconds * 1000),
        place=place,
        through=tuple(sorted(through)),
    )


THROUGH: Final = (
    RevocationTarget("token", "signed-by-an-agent"),
    RevocationTarget("hop", "hash-of-what-an-agent-signed"),
    RevocationTarget("hop", "hash-of-a-consent"),
    RevocationTarget("agent", "between"),
    RevocationTarget("agent", "spiffe://example.net/agent/between/1"),
    RevocationTarget("key", "key-of-between"),
    RevocationTarget("manifest", "b" * 64),
    RevocationTarget("trust_domain", "example.net"),
)
"""Names of the authorities between a token and its parent."""


def sample_tree(register: TokenRegister) -> dict[str, IssuedToken]:
    """Register a tree of tokens and return them: root → (left → (leaf → twig), right), and a separate root."""
    parents = {"root": "", "left": "root", "right": "root", "leaf": "left", "twig": "leaf", "other": ""}
    agents = {"left": "rover", "leaf": "third", "other": "fourth"}
    places = register.take_places(len(parents))
    tokens = [
        sample_token(jti, place=place, parent=parent, agent=agents.get(jti, "scout"))
        for (jti, parent), place in zip(parents.items(), places, strict=True)
    ]
    register.add(tokens)
    return {one.jti: one for one in tokens}


class TokenRegisterContract:
    """Contract cases for any register. `tmp_path` is an empty directory of the test."""

    def opened(self, tmp_path: Path) -> TokenRegister:
        """Open a register that stores its state, if at all, in that directory; opening again is a restart."""
        raise NotImplementedError

    def test_a_token_is_found_as_it_was_and_has_not_ended(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        for jti, token in tree.items():
            claim(register.find(jti) == token, "found whole, with its parent and its place")
            claim(not register.has_ended(jti), "and it stands")
        claim(register.find("nobody") is None, "an unknown one is not found")
        claim(register.has_ended("nobody"), "and gets no good word")

    def test_ending_any_token_ends_all_that_derive_from_it_and_nothing_else(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        count, first = register.subtree([RevocationTarget("hop", "hash-of-left")])
        claim((count, [one.jti for one in first]) == (3, ["left", "leaf", "twig"]), "roots first")
        claim(register.end([RevocationTarget("token", "left")]) == 3, "with two below")
        ended = {jti for jti in tree if register.has_ended(jti)}
        claim(ended == {"left", "leaf", "twig"}, "the whole subtree and nothing beside it")
        claim(register.end([RevocationTarget("token", "left")]) == 0, "what has ended does not end again")
        claim(register.end([RevocationTarget("mandate", "m-1")]) == 3, "and the rest ends by another name")

    def test_each_kind_of_name_reaches_its_tokens(self, tmp_path: Path) -> None:
        names = {
            RevocationTarget("agent", "rover"): {"left", "leaf", "twig"},
            RevocationTarget("key", "key-of-third"): {"leaf", "twig"},
            RevocationTarget("hop", "hash-of-right"): {"right"},
            RevocationTarget("agent", "fourth"): {"other"},
        }
        for number, (name, expected) in enumerate(names.items()):
            register = self.opened(tmp_path / str(number))
            tree = sample_tree(register)
            register.end([name])
            claim({jti for jti in tree if register.has_ended(jti)} == expected, f"by {name.kind}")
        register = self.opened(tmp_path / "domain")
        sample_tree(register)
        claim(register.end([RevocationTarget("trust_domain", "example.org")]) == 6, "by trust domain")
        claim(register.end([RevocationTarget("vendor", "acme")]) == 0, "tokens do not say who supplies what")

    def test_each_name_between_a_token_and_its_parent_ends_it_and_all_below_and_nothing_beside_it(
        self, tmp_path: Path
    ) -> None:
        above = RevocationTarget("agent", "spiffe://example.net/agent/between")
        for number, name in enumerate((*THROUGH, above)):
            register = self.opened(tmp_path / str(number))
            tree = sample_tree(register)
            [place, below] = register.take_places(2)
            deep = sample_token("deep", place=place, parent="right", through=THROUGH)
            register.add([deep, sample_token("deeper", place=below, parent="deep")])
            claim(register.find("deep") == deep, "found whole, with the names of what it came through")
            claim(register.end([name]) == 2, f"by {name.kind} {name.name}")
            claim(register.has_ended("deep") and register.has_ended("deeper"), "with what is below it")
            claim(not any(register.has_ended(jti) for jti in tree), "and nothing beside it")
            claim(register.subtree([name])[0] == 2, "and is counted")
        register = self.opened(tmp_path / "alike")
        [place] = register.take_places(1)
        register.add([sample_token("deep", place=place, through=THROUGH)])
        for alike in (
            "spiffe://example.net/agent/betwee",
            "spiffe://example.net/agent/between/1/sub",
            "betwee",
        ):
            claim(
                register.end([RevocationTarget("agent", alike)]) == 0,
                "a name that only begins alike is another",
            )

    def test_an_instance_ends_with_each_instance_that_it_is_a_sub_agent_of_and_with_no_other(
        self, tmp_path: Path
    ) -> None:
        instance = "spiffe://example.org/agent/scout/abc/sub-1"
        names = {instance: 1, instance.rpartition("/")[0]: 1, "spiffe://example.org/agent": 1}
        names |= {f"{instance}0": 0, f"{instance}/sub": 0, "spiffe://example.org/agent/scout/ab": 0}
        for number, (name, count) in enumerate(names.items()):
            register = self.opened(tmp_path / str(number))
            [place, other] = register.take_places(2)
            register.add([sample_token("mine", place=place, instance=instance)])
            register.add([sample_token("other", place=other, instance="spiffe://example.org/else/scout")])
            claim(register.end([RevocationTarget("agent", name)]) == count, name)
            claim(register.has_ended("mine") is bool(count), "and it alone")

    def test_names_go_with_the_token_that_they_are_of(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        [old, young] = register.take_places(2)
        register.add(
            [
                sample_token("old", place=old, through=THROUGH[:4]),
                sample_token("young", place=young, seconds=600, through=THROUGH[2:]),
            ]
        )
        claim(register.prune(before=UnixMillis(START + 61_000), count_max=9) == 1, "the one that ran out")
        claim(register.end(THROUGH[:2]) == 0, "is found by none of its names any more")
        claim(register.end([THROUGH[2]]) == 1, "and the other by a name that both had")

    def test_tokens_that_are_put_back_have_their_places_and_names_and_are_valid_whatever_the_list_said_before(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path / "before")
        tree = sample_tree(register)
        lost = self.opened(tmp_path / "after")
        lost.take_places(1)
        nobodys = StatusList(bits=1, statuses=lost.statuses(1))
        # The place of one token is one that the new list has marked as ended although no token had it.
        decoy = next(place for place in range(nobodys.size) if nobodys.status(place))
        places = {
            "root": StatusPlace(list_number=1, index=decoy),
            "left": StatusPlace(list_number=2, index=7),
        }
        names = {"leaf": THROUGH}
        again = [
            sample_token(
                one.jti,
                place=places.get(one.jti, one.place),
                parent=one.parent,
                agent=one.agent,
                through=names.get(one.jti, ()),
            )
            for one in tree.values()
        ]
        claim(lost.restore(again) == len(again), "all of them")
        claim(lost.restore(again) == 0, "and once")
        claim(all(lost.find(one.jti) == one for one in again), "as they were")
        for one in again:
            statuses = StatusList(bits=1, statuses=lost.statuses(one.place.list_number))
            claim(statuses.status(one.place.index) == 0, "it stands")
        taken = {one.place for one in again}
        claim(taken.isdisjoint(lost.take_places(3000)), "nobody else gets a place of theirs")
        claim(lost.end([THROUGH[0]]) == 2, "what it came through ends it, with what is below")
        claim(lost.end([RevocationTarget("token", "root")]) == 3, "and so does what is above")
        [fresh] = lost.take_places(1)
        thief = sample_token("thief", place=again[0].place)
        orphan = sample_token("orphan", place=fresh, parent="nobody")
        claim(lost.restore([thief, orphan]) == 1, "a place that is another's is not taken from it")
        found = lost.find("orphan")
        claim(found is not None and found.parent == "", "one whose parent is gone is kept without")

    def test_nothing_derives_from_what_has_ended_or_is_unknown_or_would_be_outlived(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        sample_tree(register)
        register.end([RevocationTarget("token", "left")])
        [place, late] = register.take_places(2)
        for parent in ("left", "twig", "nobody"):
            with raises(Malformed, "token.parent", f"no child of {parent}"):
                register.add([sample_token("new", place=place, parent=parent)])
        with raises(Malformed, "token.parent", "no child that outlives its parent"):
            register.add([sample_token("late", place=late, parent="right", seconds=61)])
        claim(register.find("new") is None, "nothing of it was kept")

    def test_an_id_or_a_place_that_is_taken_is_refused_and_nothing_of_the_batch_is_kept(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        [fresh, other] = register.take_places(2)
        with raises(Malformed, "token.duplicate", "an id is given once"):
            register.add([sample_token("first", place=fresh), sample_token("root", place=other)])
        claim(register.find("first") is None, "all or none")
        with raises(Malformed, "token.duplicate", "a place is given once"):
            register.add([sample_token("second", place=tree["root"].place)])

    def test_the_status_list_says_of_each_place_what_is_so(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        number = tree["root"].place.list_number
        before = StatusList(bits=1, statuses=register.statuses(number))
        claim(len(before.statuses) == LIST_BYTES, "all lists have one size")
        claim(all(before.status(one.place.index) == 0 for one in tree.values()), "none is born invalid")
        register.end([RevocationTarget("token", "left")])
        after = StatusList(bits=1, statuses=register.statuses(number))
        told = {jti for jti, one in tree.items() if after.status(one.place.index) == 1}
        claim(told == {"left", "leaf", "twig"}, "exactly the ended ones")
        changed = sum((a ^ b).bit_count() for a, b in zip(before.statuses, after.statuses, strict=True))
        claim(changed == 3, "and no other bit changed")
        with raises(Malformed, "status.no_list", "an unknown list is not an empty one"):
            register.statuses(number + 1)

    def test_places_are_given_once_and_not_in_order(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        places = [(one.list_number, one.index) for _ in range(4) for one in register.take_places(500)]
        claim(len(set(places)) == 2000, "none twice")
        claim(places != sorted(places), "and their order says nothing")

    def test_what_has_expired_is_forgotten_a_part_at_a_time_and_its_place_stays_taken(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        [place] = register.take_places(1)
        register.add([sample_token("young", place=place, seconds=600)])
        before = UnixMillis(START + 61_000)
        claim(register.prune(before=before, count_max=4) == 4, "so many at a time")
        claim(register.prune(before=before, count_max=4) == 2, "then the rest")
        claim(register.prune(before=before, count_max=4) == 0, "and no more")
        claim(register.find("young") is not None, "the young one stays")
        claim(all(register.has_ended(jti) for jti in tree), "of the forgotten nothing good is said")
        taken = {one.place for one in tree.values()}
        claim(taken.isdisjoint(register.take_places(2000)), "nobody inherits a place")

    def test_the_place_of_a_revoked_token_that_was_forgotten_is_given_to_nobody_until_its_list_is_full(
        self, tmp_path: Path
    ) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        register.end([RevocationTarget("token", "root")])
        claim(register.prune(before=UnixMillis(START + 61_000), count_max=9) == 6, "revoked or not")
        claim(register.end([RevocationTarget("token", "root")]) == 0, "they are gone")
        taken = {one.place for one in tree.values()}
        rest = register.take_places(TOKENS_PER_LIST_MAX - len(taken))
        claim({one.list_number for one in rest} == {1}, "all that the list still gives")
        claim(taken.isdisjoint(rest), "and none of them is one of theirs")
        claim(register.take_places(1)[0].list_number == 2, "then another list is begun")
        claim(len(register.statuses(1)) == LIST_BYTES, "and the first is still served")


class DurableTokenRegisterContract(TokenRegisterContract):
    """Contract cases for registers that persist their state."""

    def test_tokens_ends_and_taken_places_survive_a_restart(self, tmp_path: Path) -> None:
        register = self.opened(tmp_path)
        tree = sample_tree(register)
        register.end([RevocationTarget("token", "leaf")])
        unused = set(register.take_places(100))
        statuses = register.statuses(1)
        again = self.opened(tmp_path)
        claim({jti for jti in tree if again.has_ended(jti)} == {"leaf", "twig"}, "ends are ends")
        claim(again.find("leaf") == tree["leaf"], "and tokens are what they were")
        claim(again.statuses(1) == statuses, "the list says the same, decoys included")
        claim(
            unused.isdisjoint(again.take_places(2000)),
            "a place that was taken and not used is not given again",
        )
