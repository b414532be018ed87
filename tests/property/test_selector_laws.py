"""Laws of selectors, of the choice of an agent, and of readers of what strangers send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.core.identity.names.principal import AgentId
from answerable.core.identity.workload.attestation import (
    RegistrationEntry,
    checked_selector,
    matching_agent,
    possession_message,
    selector,
)
from answerable.core.identity.workload.ssh_signature import read_identity, read_signature
from answerable.errors import AnswerableError, Malformed, Refused

pytestmark = pytest.mark.requirement("ATTEST-02")

MEASURABLE = [f"unix:uid:{n}" for n in range(6)]
SELECTORS = st.frozensets(st.sampled_from(MEASURABLE))
ENTRIES = st.lists(
    st.builds(
        RegistrationEntry, agent=st.sampled_from([AgentId(name) for name in "abc"]), selectors=SELECTORS
    ),
    max_size=8,
)


def chosen(entries, measured):
    try:
        return matching_agent(entries, measured)
    except Refused as told:
        return told.code


def expected(entries, measured):
    """The rule again, by brute force: an entry wins that is above every matching one of every other agent."""
    matching = [e for e in entries if e.selectors and all(one in measured for one in e.selectors)]
    if not matching:
        return None
    winners = {
        e.agent for e in matching if all(o.agent == e.agent or (o.selectors < e.selectors) for o in matching)
    }
    return winners.pop() if len(winners) == 1 else "attestation.ambiguous"


@given(ENTRIES, SELECTORS)
def test_the_choice_is_the_rule(entries, measured):
    assert chosen(entries, measured) == expected(entries, measured)


@given(ENTRIES, SELECTORS, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order(entries, measured, chance):
    shuffled = list(entries)
    chance.shuffle(shuffled)
    assert chosen(shuffled, measured) == chosen(entries, list(measured) * 2)


@given(ENTRIES, SELECTORS)
def test_whoever_is_chosen_has_an_entry_that_was_wholly_measured(entries, measured):
    agent = chosen(entries, measured)
    if agent in set("abc"):
        assert any(e.agent == agent and e.selectors and e.selectors <= measured for e in entries)


@given(ENTRIES, SELECTORS, ENTRIES)
def test_entries_that_do_not_match_change_nothing(entries, measured, others):
    silent = [e for e in others if not e.selectors or not e.selectors <= measured]
    assert chosen([*entries, *silent], measured) == chosen(entries, measured)


@given(ENTRIES, SELECTORS)
def test_a_token_bound_to_an_agent_never_makes_another(entries, measured):
    assert chosen(entries, measured | {"join_token:agent:a"}) in {None, "a"}


@given(st.text(max_size=600))
def test_any_text_is_a_selector_as_it_is_or_none(text):
    try:
        found = checked_selector(text)
    except Malformed:
        return
    assert found == text
    assert text.isprintable()


@given(st.text(max_size=600), st.text(max_size=30))
def test_two_claims_or_values_never_make_one_selector(value, name):
    for made in selector("oidc", f"claim.{name}", value):
        assert made == f"oidc:claim.{name}:{value}"
        kind, key, rest = made.split(":", 2)
        assert (kind, key, rest) == ("oidc", f"claim.{name}", value)


@given(
    st.tuples(st.text(max_size=20), st.text(max_size=20)),
    st.tuples(st.text(max_size=20), st.text(max_size=20)),
)
def test_two_pairs_of_challenge_and_key_never_make_one_message(one, other):
    try:
        same = possession_message(*one) == possession_message(*other)
    except Malformed:
        return
    assert same == (one == other)


@given(st.text(max_size=300), st.binary(max_size=300))
def test_readers_of_what_strangers_send_raise_nothing_but_our_errors(text, octets):
    from tests.worlds.attestation import armoured

    for ask in (
        lambda: read_identity("ssh-ed25519-cert-v01@openssh.com " + text),
        lambda: read_identity(text),
        lambda: read_signature(text),
        lambda: read_signature(armoured(b"SSHSIG\0\0\0\1" + octets)),
    ):
        try:
            ask()
        except AnswerableError:
            continue
