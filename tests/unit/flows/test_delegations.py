"""Chains that were verified once: what is remembered of them, for how long, and that nothing else passes by it."""

from __future__ import annotations

import pytest

from answerable.core.identity.names.principal import UnixMillis
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.errors import Malformed, Unverified
from answerable.flows.state import delegations
from answerable.flows.state.delegations import Delegations
from answerable.testing.delegation import LEAST, NOW, below, hop, online, root, three, trusted
from answerable.testing.samples import AUDIENCE

TEXT = SEPARATOR.join(three())


class CountedKeys:
    """The token service's keys; counts how often somebody needed them."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, issuer: str):
        self.asked += 1
        return trusted(issuer)


@pytest.fixture
def keys() -> CountedKeys:
    return CountedKeys()


@pytest.fixture
def known(keys: CountedKeys) -> Delegations:
    return Delegations(keys_of=keys, audience=lambda: AUDIENCE)


def asked(keys: CountedKeys, known: Delegations, text: str, now: int = NOW) -> int:
    """How often keys were needed to say that this chain holds."""
    before = keys.asked
    known.verified(text, UnixMillis(now))
    return keys.asked - before


def test_a_chain_is_verified_once_and_found_under_whatever_copy_of_its_text(known, keys):
    assert asked(keys, known, TEXT) > 0
    assert asked(keys, known, TEXT) == 0
    copy = TEXT.encode().decode()
    assert copy is not TEXT
    assert asked(keys, known, copy) == 0


@pytest.mark.parametrize("place", [0, len(TEXT) // 3, len(TEXT) - 65])
def test_a_remembered_chain_that_was_changed_anywhere_is_verified_anew_and_refused(known, keys, place):
    known.verified(TEXT, NOW)
    other = "A" if TEXT[place] != "A" else "B"
    changed = f"{TEXT[:place]}{other}{TEXT[place + 1 :]}"
    assert changed[-64:] == TEXT[-64:]
    with pytest.raises((Malformed, Unverified)):
        known.verified(changed, NOW)
    assert asked(keys, known, TEXT) == 0, (
        "who sends a changed copy takes nothing from whoever has the real one"
    )


def test_a_piece_of_a_remembered_chain_is_not_the_chain(known):
    first, _, leaf = three()
    known.verified(TEXT, NOW)
    for piece in (leaf, leaf[-64:], SEPARATOR.join((first, leaf)), f"{SEPARATOR}{TEXT}", f"{TEXT}{TEXT}"):
        with pytest.raises((Malformed, Unverified)):
            known.verified(piece, NOW)
    for beginning in (first, SEPARATOR.join(three()[:2])):
        assert known.verified(beginning, NOW).leaf.token == beginning.rpartition(SEPARATOR)[2]


def test_a_remembered_chain_ends_when_its_last_hop_does_and_is_not_kept_longer(known, keys):
    ends = known.verified(TEXT, NOW).leaf.expires_at
    assert asked(keys, known, TEXT, ends - 1) == 0
    with pytest.raises(Unverified) as fault:
        known.verified(TEXT, ends)
    assert fault.value.code == "delegation.expired"
    # The clock was set back: nothing is believed that was remembered.
    assert asked(keys, known, TEXT) > 0


def test_a_chain_from_before_its_time_is_verified_anew(known, keys):
    known.verified(TEXT, NOW)
    assert asked(keys, known, TEXT, NOW - 1000) > 0, "within the leeway, so it holds and is not from memory"


def test_what_was_remembered_is_forgotten_with_the_keys_it_rests_on(known, keys):
    known.verified(TEXT, NOW)
    known.forget()
    assert asked(keys, known, TEXT) > 0


def test_the_chain_not_used_for_longest_makes_room(known, keys, monkeypatch):
    monkeypatch.setattr(delegations, "CHAINS_MAX", 2)
    one, two, three_ = root(jti="one"), root(jti="two"), root(jti="three")
    for text in (one, two, one, three_):
        known.verified(text, NOW)
    assert asked(keys, known, one) == 0
    assert asked(keys, known, two) > 0


def test_long_chains_make_room_by_their_length(known, keys, monkeypatch):
    first = root()
    second = online((first,), hop("researcher", LEAST))
    long = SEPARATOR.join((first, second, below((first, second), "researcher", hop("writer", LEAST))))
    monkeypatch.setattr(delegations, "CHARS_MAX", len(long) + len(first) - 1)
    known.verified(first, NOW)
    known.verified(long, NOW)
    assert asked(keys, known, long) == 0
    assert asked(keys, known, first) > 0


def test_a_chain_longer_than_all_that_is_remembered_is_verified_at_every_call(known, keys, monkeypatch):
    monkeypatch.setattr(delegations, "CHARS_MAX", len(TEXT) - 1)
    assert asked(keys, known, TEXT) > 0
    assert asked(keys, known, TEXT) > 0
