"""Laws of answers by click: no setting makes one count for the highest tier, and no object that says so does either."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.approval.approval import Approval
from answerable.core.approval.assurance_level import (
    CHAT,
    CRITICAL,
    SIGNATURES,
    STRENGTHS,
    is_strong_enough,
    takes_strength,
)
from answerable.core.approval.card import card_of
from answerable.core.approval.chat_click import (
    click_fault,
    object_takes_clicks,
    offers_clicks,
    tier_takes_clicks,
)
from answerable.core.approval.message import asked_message, unlinked
from answerable.core.approval.whole_message import whole_lines, with_offer
from answerable.core.canonical import JSONValue, freeze
from answerable.core.decision.facts import Requirement
from answerable.flows.state.walk_limits import WalkLimits
from answerable.testing.clock import START
from answerable.testing.samples import approval

pytestmark = pytest.mark.requirement("BUTTON-08")
TIERS = st.integers(-2, 5) | st.none() | st.booleans() | st.text(max_size=3)
ANY_SETTINGS = st.tuples(*[st.sampled_from(STRENGTHS)] * 4)
LOOKS = st.tuples(*[st.integers(0, 2)] * 4)
ASKED = st.lists(
    st.builds(Requirement, group=st.sampled_from(["approvers", "sales"]), count=st.integers(1, 3)),
    max_size=3,
).map(tuple)
SENSITIVITY = st.sampled_from(["public", "internal", "confidential", "restricted"])


def shown_as(members: dict[str, JSONValue], *, requirements: tuple[Requirement, ...] = ()) -> Approval:
    """An approval whose object says anything at all of itself."""
    made = approval()
    envelope = made.shown.thaw()
    assert isinstance(envelope, dict)
    value = envelope["value"]
    assert isinstance(value, dict)
    value.update(members)
    return replace(made, shown=freeze(envelope), requirements=requirements or made.requirements)


@given(settings=ANY_SETTINGS, looks=LOOKS, tier=TIERS, now=st.integers(0, 3), claims=st.booleans())
def test_no_setting_makes_a_click_count_for_the_highest_tier(settings, looks, tier, now, claims):
    limits = WalkLimits(signatures=settings, look_seconds_min=looks)
    effects: JSONValue = {"environment": "x", "kind": "pay", "sensitivity": "internal", "tier": tier}
    one = shown_as({"effects": effects, **({"by_click": True} if claims else {})})
    known = tier if type(tier) is int and 0 <= tier <= CRITICAL else CRITICAL
    if isinstance(tier, bool):
        known = int(tier)
    if known == CRITICAL or now == CRITICAL or not claims:
        assert click_fault(limits, one, tier=now)
    if known == CRITICAL:
        assert not is_strong_enough(limits, one, CHAT)
        assert not tier_takes_clicks(limits, CRITICAL)
    if not click_fault(limits, one, tier=now):
        assert settings[known] == CHAT
        assert settings[now] == CHAT
        assert (looks[known], looks[now]) == (0, 0)
        assert is_strong_enough(limits, one, CHAT)


@given(settings=ANY_SETTINGS, tier=st.integers(-3, 6))
def test_a_click_is_the_weakest_and_what_a_tier_takes_of_it_it_takes_of_every_signature(settings, tier):
    limits = WalkLimits(signatures=settings)
    if takes_strength(limits, tier, CHAT):
        assert 0 <= tier < CRITICAL
        assert all(takes_strength(limits, tier, one) for one in SIGNATURES)
    for one in SIGNATURES:
        if 0 <= tier <= CRITICAL and settings[tier] == CHAT:
            assert takes_strength(limits, tier, one), "at the highest tier, too, a signature is still one"


@given(settings=ANY_SETTINGS, looks=LOOKS, tier=st.integers(0, 3), sensitivity=SENSITIVITY, asked=ASKED)
def test_a_click_is_offered_only_where_one_answer_decides_what_may_be_in_a_chat(
    settings, looks, tier, sensitivity, asked
):
    limits = WalkLimits(signatures=settings, look_seconds_min=looks)
    if offers_clicks(limits, tier=tier, sensitivity=sensitivity, requirements=asked):
        assert [one.count for one in asked] == [1]
        assert sensitivity in ("public", "internal")
        assert tier < CRITICAL
        assert (settings[tier], looks[tier]) == (CHAT, 0)


def test_a_low_tier_that_one_of_a_group_answers_takes_a_click_where_the_object_and_the_settings_say_so():
    members: dict[str, JSONValue] = {
        "by_click": True,
        "effects": {"environment": "x", "kind": "pay", "sensitivity": "internal", "tier": 2},
        "requirements": [["approvers", 1]],
    }
    one = shown_as(members, requirements=(Requirement(group="approvers", count=1),))
    assert click_fault(WalkLimits(signatures=(CHAT,) * 4), one, tier=2) == ""
    assert object_takes_clicks(members)
    assert not object_takes_clicks({**members, "by_click": False})


@given(
    value=st.fixed_dictionaries(
        {
            "by_click": st.sampled_from([True, 1, "true", None]),
            "effects": st.none() | st.fixed_dictionaries({"tier": TIERS}),
            "requirements": st.none()
            | st.lists(
                st.none() | st.lists(st.sampled_from(["g", 1, 2, True]), max_size=3),
                max_size=3,
            ),
        }
    )
)
def test_what_a_stranger_takes_for_an_object_that_may_be_clicked_is_never_critical_nor_of_two(value):
    if object_takes_clicks(value):
        assert value["by_click"] is True
        assert type(value["effects"]["tier"]) is int
        assert 0 <= value["effects"]["tier"] < CRITICAL
        assert len(value["requirements"]) == 1
        assert value["requirements"][0][1] == 1


@given(
    arguments=st.dictionaries(
        st.text(min_size=1, max_size=20),
        st.text(max_size=400) | st.integers(-(10**9), 10**9) | st.lists(st.text(max_size=50), max_size=5),
        max_size=12,
    )
)
def test_what_is_offered_shows_every_argument_whole_on_one_line_and_loses_nothing_by_being_no_link(arguments):
    one = shown_as({"arguments": arguments})
    one = replace(one, card=card_of(one.shown))
    lines = whole_lines(one)
    if lines is None:
        return
    message = with_offer(asked_message(one, link="", now=START), one, "n")
    assert message.offer is not None
    assert message.offer.lines == lines
    shown = {label.removeprefix("argument ") for label, _ in lines if label.startswith("argument ")}
    assert len(shown) == len(arguments)
    for piece in (part for pair in lines for part in pair):
        assert piece.isprintable()
        drawn = unlinked(piece)
        back = drawn.replace("[://]", "://")
        for dot in ".。．｡":
            back = back.replace(f"[{dot}]", dot)
        assert back == piece
