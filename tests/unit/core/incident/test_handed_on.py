"""Hops as sentences and as a tree, from real tokens in entries as the log has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from answerable.api.tree_answers import MandateTree as MandateTreeAnswer
from answerable.apps.cli.mandate_tree import drawn
from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.incident.handed_on import narrowed
from answerable.core.incident.mandate_tree import MandateTree, Tally, grown
from answerable.core.incident.timeline import Moment, concerns, told
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.authority import Authority
from answerable.core.mandate.constraint import Max, MaxSubtree, Min, NotOneOf, OneOf, Prefix, Rank
from answerable.core.mandate.hop_signing import HopTerms, issue_root, sign_hop
from answerable.core.mandate.hop_token import Mission, confirmation_of, read_hop
from answerable.flows.forensics.opened_moment import hops_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.canonical import JSONValue

AGENTS = ("orchestrator", "researcher", "writer")
KEYS = {
    name: SigningKey(new_private_jwk("ed25519", bytes([index]) * 32))
    for index, name in enumerate((*AGENTS, "intruder"), 1)
}
SERVICE = SigningKey(new_private_jwk("ed25519", b"s" * 32))
WHOLE = Authority(
    scopes=("crm.customer-read", "crm.note-add"),
    constraints=(MaxSubtree(key="calls", bound=20), OneOf(key="resource:crm.note-add", members=("4711",))),
)
READING = Authority(
    scopes=("crm.customer-read",),
    constraints=(
        MaxSubtree(key="calls", bound=5),
        *WHOLE.constraints[1:],
        OneOf(key="resource:crm.customer-read", members=("4711",)),
    ),
)
START = UnixMillis(1_800_000_000_000)


def hop_terms(agent: str, authority: Authority, *, jti: str = "", depth_limit: int | None = None) -> HopTerms:
    return HopTerms(
        jti=jti or f"jti-{agent}",
        agent=agent,
        confirmation=confirmation_of(KEYS[agent].public),
        audiences=("https://gateway.test",),
        authority=authority,
        issued_at=START,
        expires_at=UnixMillis(START + 300_000),
        depth_limit=depth_limit,
    )


@dataclass(frozen=True)
class Chain:
    """Tokens, root first."""

    tokens: tuple[str, ...]

    def below(self, agent: str, authority: Authority, *, by: str, jti: str = "") -> Chain:
        made = sign_hop(self.tokens, hop_terms(agent, authority, jti=jti), key=KEYS[by])
        return Chain((*self.tokens, made))


def root() -> Chain:
    token = issue_root(
        hop_terms("orchestrator", WHOLE, depth_limit=3),
        issuer="https://gateway.test",
        principal="emil",
        mission=Mission(id="m-1", authority_hash="sha-256:" + "a" * 43),
        key=SERVICE,
    )
    return Chain((token,))


def cited(index: int, chain: Chain, *, form: str = "offline", open_: bool = True) -> Moment:
    """As `records_delegation` writes it."""
    hop = read_hop(chain.tokens[-1])
    parent = read_hop(chain.tokens[-2]).jti if len(chain.tokens) > 1 else ""
    leaf: dict[str, JSONValue] = {
        "at": START,
        "agent": hop.agent,
        "depth": len(chain.tokens) - 1,
        "expires": hop.expires_at,
        "form": form if parent else "online",
        "hop": hop.jti,
        "kind": "hop",
        "mandate": "m-1",
        "name": f"{index:064x}" if not open_ else hop.raw.hash,
        "parent": parent,
        "principal": "f" * 64,
    }
    payload: dict[str, JSONValue] | None = {"principal": "emil", "token": chain.tokens[-1]} if open_ else None
    return Moment(index=index, tag=Tag.CITED, leaf=leaf, payload=payload)


def intent(index: int, at: Sequence[tuple[str, int]], *, mandate: str = "m-1") -> Moment:
    hops: list[JSONValue] = [
        {"agent": agent, "entry": entry, "id": f"jti-{agent}", "leaf": "0"} for agent, entry in at
    ]
    leaf: dict[str, JSONValue] = {
        "at": START,
        "agent": at[-1][0] if at else "orchestrator",
        "mandate": mandate,
        **({"hops": hops} if hops else {}),
    }
    return Moment(index=index, tag=Tag.INTENT, leaf=leaf, payload=None)


def outcome(index: int, of: int, status: str) -> Moment:
    tag = Tag.INDETERMINATE if status == "indeterminate" else Tag.OUTCOME
    return Moment(index=index, tag=tag, leaf={"at": START, "intent": of, "status": status}, payload=None)


def refusal(index: int, *agents: str) -> Moment:
    hops: list[JSONValue] = [{"agent": agent, "id": f"jti-{agent}"} for agent in agents]
    leaf: dict[str, JSONValue] = {"at": START, "agent": agents[-1], "mandate": "m-1", "hops": hops}
    return Moment(index=index, tag=Tag.REFUSAL, leaf=leaf, payload={"reasons": ["no"]})


def chains() -> tuple[Chain, Chain, Chain]:
    first = root()
    second = first.below("researcher", READING, by="orchestrator")
    return first, second, second.below("writer", READING, by="researcher")


def handed() -> list[Moment]:
    return [cited(index, chain) for index, chain in enumerate(chains(), 10)]


def test_handing_on_is_told_with_who_to_whom_and_what_is_left_of_it():
    moments = handed()
    first, second, third = (told(one, hops_among(moments)) for one in moments)
    assert first.text == "Agent orchestrator was issued a token for mandate m-1."
    assert (
        "signed by the token service; good until 2027-01-15T08:05:00Z; id jti-orchestrator" in first.details
    )
    assert (
        second.text == "orchestrator handed mandate m-1 on to researcher (hop 1), only for crm.customer-read."
    )
    assert second.details[0] == "narrowed to: at most 5 calls; resource of crm.customer-read 4711 only"
    assert third.text == "researcher handed mandate m-1 on to writer (hop 2)."
    assert third.details == (
        "signed by the agent that hands on; good until 2027-01-15T08:05:00Z; id jti-writer",
    )


def test_a_hop_whose_token_cannot_be_opened_is_told_without_what_it_allows():
    first, second, _ = chains()
    moments = [cited(1, first, open_=False), cited(2, second, open_=False)]
    line = told(moments[1], hops_among(moments))
    assert line.text == "orchestrator handed mandate m-1 on to researcher (hop 1)."
    assert len(line.details) == 1
    alone = told(moments[1])
    assert alone.text == "Mandate m-1 was handed on to researcher (hop 1)."


def test_actions_and_refusals_say_through_whom_they_came():
    three = [("orchestrator", 10), ("researcher", 11), ("writer", 12)]
    line = told(intent(13, three))
    assert " through orchestrator → researcher under mandate m-1." in line.text
    assert "by hop 2 of its chain, id jti-writer" in line.details
    line = told(refusal(14, "orchestrator", "researcher"))
    assert " through orchestrator under mandate m-1 and was refused: no." in line.text
    own = told(intent(15, three[:1]))
    assert "through" not in own.text
    assert "by a token of its own, id jti-orchestrator" in own.details
    assert "through" not in told(intent(16, [])).text


@pytest.mark.parametrize("moment", [handed()[1], intent(13, [("researcher", 11)]), refusal(14, "researcher")])
def test_a_hop_has_a_story_of_its_own(moment: Moment):
    assert concerns(moment, frozenset({"jti-researcher"}))
    assert not concerns(moment, frozenset({"jti-writer"}))


def test_an_action_counts_where_its_actor_stood():
    one, two, three = ("orchestrator", 10), ("researcher", 11), ("writer", 12)
    tree = grown(
        [
            *handed(),
            intent(20, [one, two, three]),
            outcome(21, 20, "succeeded"),
            intent(22, [one, two, three]),
            intent(23, [one, two]),
            outcome(24, 23, "indeterminate"),
            intent(25, [one]),
            outcome(26, 25, "failed"),
            intent(27, []),
            outcome(28, 27, "succeeded"),
            intent(29, [], mandate="m-2"),
            refusal(30, "orchestrator", "researcher", "writer"),
        ],
        "m-1",
    )
    assert tree.tally == Tally(done=1)
    by_agent = {one.hop.agent: one.tally for one in tree.branches}
    assert by_agent == {
        "orchestrator": Tally(failed=1),
        "researcher": Tally(unknown=1),
        "writer": Tally(done=1, refused=1, in_flight=1),
    }


def test_what_turns_up_later_corrects_what_was_not_known():
    tree = grown([intent(1, []), outcome(2, 1, "indeterminate"), outcome(3, 1, "succeeded")], "m-1")
    assert tree.tally == Tally(done=1)


def test_each_hop_stands_once_below_the_one_it_hangs_on():
    first, second, third = chains()
    other = first.below("writer", READING, by="orchestrator", jti="second-child")
    moments = [cited(3, third), cited(4, other), cited(1, first), cited(2, second), cited(9, first)]
    tree = grown(moments, "m-1")
    assert [(one.hop.jti, one.above and one.above.jti) for one in tree.branches] == [
        ("jti-orchestrator", None),
        ("second-child", "jti-orchestrator"),
        ("jti-researcher", "jti-orchestrator"),
        ("jti-writer", "jti-researcher"),
    ]


def test_nobody_hides_a_hop_behind_another_of_the_same_id():
    first, second, _ = chains()
    twin = first.below("intruder", READING, by="orchestrator", jti="jti-researcher")
    under_twin = twin.below("writer", READING, by="intruder")
    tree = grown([cited(1, first), cited(2, second), cited(3, twin), cited(4, under_twin)], "m-1")
    assert [one.hop.agent for one in tree.branches] == ["orchestrator", "researcher", "intruder", "writer"]
    writer = tree.branches[-1]
    assert writer.above is not None
    assert writer.above.agent == "intruder"


def test_bounds_are_told_in_a_few_words():
    bounds = Authority(
        scopes=("pay.send",),
        constraints=(
            Max(key="argument:pay.send:amount", bound=500),
            Min(key="argument:pay.send:amount", bound=1),
            NotOneOf(key="destination", members=("host:x.test",)),
            OneOf(key="resource:other.thing", members=("a",)),
            Prefix(key="resource:pay.send", prefix="eu/"),
            Rank(key="sensitivity", rank="internal", order=("public", "internal")),
            MaxSubtree(key="money:EUR", bound=900),
        ),
    )
    assert set(narrowed(bounds, None)) == {
        "only for pay.send",
        "amount of pay.send at most 500",
        "amount of pay.send at least 1",
        "destination not host:x.test",
        "resource of pay.send under eu/ only",
        "sensitivity internal at most",
        "at most 900 minor units of EUR",
    }
    many = Authority(
        scopes=("a.b",),
        constraints=tuple(Max(key=f"argument:a.b:n{index}", bound=1) for index in range(20)),
    )
    assert len(narrowed(many, None)) == 9
    assert narrowed(many, None)[-1] == "13 more bounds"


def answer_of(tree: MandateTree) -> dict[str, object]:
    def counts(tally: Tally) -> dict[str, int]:
        names = ("done", "failed", "refused", "unknown", "in_flight")
        return {name: getattr(tally, name) for name in names}

    hops = [
        {
            "id": one.hop.jti,
            "parent": one.above.jti if one.above else "",
            "depth": one.hop.depth,
            "agent": one.hop.agent,
            "form": one.hop.form,
            "narrowed": list(narrowed(one.hop.authority, one.above.authority if one.above else WHOLE)),
            "state": "open",
            "because": "",
            "expires_at": "2027-01-15T08:05:00.000Z",
            "revocable_as": "",
            "actions": counts(one.tally),
        }
        for one in tree.branches
    ]
    return {
        "id": "m-1",
        "principal": "emil",
        "agent": "orchestrator",
        "purpose": "write \u202e it",
        "state": "open",
        "because": "",
        "expires_at": "2027-01-15T09:00:00.000Z",
        "actions": counts(tree.tally),
        "hops": hops,
        "hops_count": len(hops),
    }


def test_the_tree_is_drawn_with_a_line_to_every_parent():
    first, second, third = chains()
    other = first.below("writer", READING, by="orchestrator", jti="second-child")
    moments = [cited(index, one) for index, one in enumerate((first, second, third, other), 10)]
    entries = [("orchestrator", 10), ("researcher", 11), ("writer", 12)]
    tree = grown([*moments, intent(20, entries), refusal(21, "orchestrator", "researcher")], "m-1")
    until = "open until 2027-01-15T08:05:00.000Z"
    assert list(drawn(msgspec.convert(answer_of(tree), MandateTreeAnswer))) == [
        "mandate m-1 · open until 2027-01-15T09:00:00.000Z",
        "emil → orchestrator: write \\u{202e} it",
        f"└─ orchestrator · token of its own, online · {until}",
        "      nothing done · id jti-orchestrator",
        f"   ├─ researcher · hop 1, offline · {until}",
        "   │     only for crm.customer-read",
        "   │     at most 5 calls",
        "   │     resource of crm.customer-read 4711 only",
        "   │     1 refused · id jti-researcher",
        f"   │  └─ writer · hop 2, offline · {until}",
        "   │        1 in flight · id jti-writer",
        f"   └─ writer · hop 1, offline · {until}",
        "         only for crm.customer-read",
        "         at most 5 calls",
        "         resource of crm.customer-read 4711 only",
        "         nothing done · id second-child",
    ]


def test_a_mandate_that_was_not_handed_on_says_so():
    assert (
        list(drawn(msgspec.convert(answer_of(grown([], "m-1")), MandateTreeAnswer)))[-1]
        == "not delegated; nothing done"
    )
