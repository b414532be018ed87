"""What answers are made of."""

from __future__ import annotations

import pytest

from answerable.apps.workload_api import sets
from answerable.core.identity.names.principal import UnixMillis
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.errors import Unavailable
from tests.worlds.workload_api import DOMAIN, OTHER, World, named


class Still(World):
    """A world whose clock stands and whose chance is known."""

    chance = b"\x80\x00\x00\x00"

    def now(self):
        return UnixMillis(1_000_000)

    def entropy(self, size):
        return self.chance


@pytest.mark.parametrize(
    ("chance", "seconds"),
    [(b"\0\0\0\0", 1620.0), (b"\x80\0\0\0", 1800.0), (b"\xff\xff\xff\xff", 1980.0)],
)
def test_what_lives_an_hour_is_renewed_after_half_of_it_give_or_take_a_tenth(chance, seconds):
    world = Still()
    world.chance = chance
    at = sets.renewal(UnixMillis(1_000_000 + 3_600_000), world)
    assert at - 1_000_000 == pytest.approx(seconds * 1000, abs=2)


def test_what_has_ended_already_is_not_renewed_without_a_pause():
    assert sets.renewal(UnixMillis(0), Still()) == 1_000_000 + sets.RENEW_MILLIS_MIN


def test_a_hint_is_given_once_and_never_too_long():
    given = (named("/a", "h"), named("/b", "h"), named("/c"), named("/d"), named("/e", "é" * 513))
    kept = sets.with_unique_hints(given)
    assert [one.id for one in kept] == [one.id for one in given]
    assert [one.hint for one in kept] == ["h", "", "", "", ""]


def test_bundles_are_keyed_by_the_ids_of_their_domains():
    keys = {f"spiffe://{DOMAIN}", f"spiffe://{OTHER}"}
    for encoded in (sets.x509_bundles, sets.jwt_bundles, sets.wit_bundles):
        assert encoded(World()).keys() == keys


def test_a_domain_without_certificates_is_left_out_and_without_our_own_we_are_not_ready():
    world = World(others={OTHER: TrustBundle(trust_domain=OTHER)})
    assert sets.x509_bundles(world).keys() == {f"spiffe://{DOMAIN}"}
    world.is_ready = False
    for encoded in (sets.x509_bundles, sets.jwt_bundles, sets.wit_bundles):
        with pytest.raises(Unavailable) as caught:
            encoded(world)
        assert caught.value.code == "workload_api.no_bundle"
