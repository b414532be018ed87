"""The desk of the trust domain: first start, rotation, removal, watching, federation, several processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.authority import AUTHORITIES_MAX, BACKDATE_MILLIS
from answerable.errors import Broken, Refused, Unavailable
from answerable.flows.trust_domain.make_authority import checked_keys
from answerable.testing.clock import START
from answerable.testing.registers import fresh_keys
from tests.worlds.trust import DOMAIN, FOREIGN, HOUR, TrustWorld, active_of, held, sequence_of, states


class BrokenKeys(LocalAuthorityKeys):
    """A store that can be told to fail."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.broken: set[str] = set()

    def create(self, name):
        self._check("create")
        return super().create(name)

    def destroy(self, name):
        self._check("destroy")
        super().destroy(name)

    def _check(self, what):
        if what in self.broken:
            raise Unavailable("no token", code="authority_keys.unavailable", port="authority_keys")


def begun(world):
    current = world.register.read()
    assert current is not None
    return current.beginning


def foreign_bundle():
    bundle = TrustWorld(domain=FOREIGN).desk().bundle(FOREIGN)
    assert bundle is not None
    return bundle


def test_the_first_start_makes_one_authority_that_signs_at_once():
    world = TrustWorld()
    desk = world.closed_desk()
    assert desk.bundle(DOMAIN) is None
    assert desk.bundles() == {}
    assert desk.authorities() == ()
    desk.open()
    (authority,) = desk.authorities()
    assert authority.state == "active"
    assert authority.not_before == START - BACKDATE_MILLIS
    assert authority.not_after == START + 86_400_000
    bundle = desk.bundle(DOMAIN)
    assert bundle is not None
    assert bundle.x509_authorities == (authority.certificate,)
    assert dict(bundle.jwt_authorities) == {authority.jwt_kid: authority.jwt_jwk}
    assert dict(bundle.wit_authorities) == {authority.wit_kid: authority.wit_jwk}
    assert bundle.refresh_hint == 300
    assert desk.bundles() == {DOMAIN: bundle}
    assert desk.bundle(TrustDomain("another.example")) is None


def test_opening_again_and_starting_again_change_nothing():
    world = TrustWorld()
    desk = world.desk()
    before = desk.bundle(DOMAIN)
    desk.open()
    assert desk.bundle(DOMAIN) is before
    assert world.desk().bundle(DOMAIN) == before
    assert not desk.tend()


@pytest.mark.parametrize(
    "use",
    [
        lambda desk: desk.tend(),
        lambda desk: desk.refresh(),
        lambda desk: desk.rotate(activate=True),
        lambda desk: desk.signing(START),
        lambda desk: desk.set_federated(foreign_bundle()),
        lambda desk: desk.drop_federated(FOREIGN),
        lambda desk: desk.remove("none"),
    ],
)
def test_nothing_goes_before_the_domain_is_open(use):
    with pytest.raises(Unavailable) as told:
        use(TrustWorld().closed_desk())
    assert told.value.code == "authority.none"


def test_a_day_and_a_half_of_timers_go_through_the_generations():
    world = TrustWorld()
    desk = world.desk()
    first = active_of(desk)
    seen = []
    for _ in range(37):
        seen.append((states(desk), active_of(desk) == first))
        world.clock.advance(HOUR)
        desk.tend()
    assert seen[11] == (["active"], True)
    assert seen[12] == (["active", "prepared"], True)
    assert seen[19] == (["active", "prepared"], True)
    assert seen[20] == (["old", "active"], False)
    assert seen[24] == (["active", "prepared"], False), "the first has run out, the third waits"


def test_the_keys_of_an_old_one_are_destroyed_at_the_next_tending_and_those_of_the_rest_are_kept():
    world = TrustWorld()
    desk = world.desk()
    first = desk.authorities()[0]
    desk.rotate(activate=True)
    assert {first.x509_key, first.jwt_key, first.wit_key} <= held(world.keys)
    desk.tend()
    second = desk.authorities()[1]
    assert held(world.keys) == {second.x509_key, second.jwt_key, second.wit_key}


def test_a_restart_asks_for_no_keys_of_an_old_one_and_keeps_it_in_the_bundle():
    world = TrustWorld()
    desk = world.desk()
    desk.rotate(activate=True)
    for _ in range(2):
        again = world.desk()
        assert again.bundle(DOMAIN) == desk.bundle(DOMAIN)
        assert states(again) == ["old", "active"]
    assert len(held(world.keys)) == 3


def test_rotating_prepares_one_and_no_second_while_it_waits():
    desk = TrustWorld().desk()
    before = sequence_of(desk)
    desk.rotate(activate=False)
    assert states(desk) == ["active", "prepared"]
    assert sequence_of(desk) > before
    before = sequence_of(desk)
    desk.rotate(activate=False)
    assert states(desk) == ["active", "prepared"]
    desk.rotate(activate=True)
    assert states(desk) == ["old", "active"]
    assert sequence_of(desk) == before, "the bundle is the same"


def test_there_is_an_end_to_rotating_by_hand_and_removing_still_goes():
    world = TrustWorld()
    desk = world.desk()
    for _ in range(AUTHORITIES_MAX - 1):
        desk.rotate(activate=True)
    with pytest.raises(Refused) as told:
        desk.rotate(activate=True)
    assert told.value.code == "authority.too_many"
    desk.remove(active_of(desk))
    assert states(desk).count("active") == 1


def test_removing_the_active_one_lets_the_prepared_one_sign():
    world = TrustWorld()
    desk = world.desk()
    desk.rotate(activate=False)
    first, second = desk.authorities()
    desk.remove(first.id)
    assert [(a.id, a.state) for a in desk.authorities()] == [(first.id, "removed"), (second.id, "active")]
    assert held(world.keys) == {second.x509_key, second.jwt_key, second.wit_key}


def test_removing_one_that_does_not_sign_leaves_the_active_one():
    desk = TrustWorld().desk()
    desk.rotate(activate=False)
    first, second = desk.authorities()
    desk.remove(second.id)
    assert [(a.id, a.state) for a in desk.authorities()] == [(first.id, "active"), (second.id, "removed")]
    with pytest.raises(Refused) as told:
        desk.remove(second.id)
    assert told.value.code == "authority.unknown"


def test_a_removal_stands_when_no_other_authority_can_be_made():
    keys = fresh_keys(BrokenKeys)
    world = TrustWorld(keys=keys)
    desk = world.desk()
    removed = active_of(desk)
    keys.broken = {"create"}
    with pytest.raises(Unavailable) as told:
        desk.remove(removed)
    assert told.value.code == "authority_keys.unavailable"
    bundle = desk.bundle(DOMAIN)
    assert bundle is not None
    assert bundle.is_empty
    with pytest.raises(Unavailable) as told:
        desk.signing(world.clock.now())
    assert told.value.code == "authority.none"
    keys.broken = set()
    assert desk.tend()
    assert states(desk) == ["removed", "active"]


def test_a_removal_stands_when_the_keys_cannot_be_destroyed_and_they_are_destroyed_later():
    keys = fresh_keys(BrokenKeys)
    world = TrustWorld(keys=keys)
    desk = world.desk()
    removed = desk.authorities()[0]
    keys.broken = {"destroy"}
    with pytest.raises(Unavailable):
        desk.remove(removed.id)
    assert states(desk) == ["removed", "active"]
    with pytest.raises(Unavailable):
        desk.tend()
    with pytest.raises(Unavailable):
        world.desk()
    assert removed.x509_key in held(keys)
    keys.broken = set()
    desk.tend()
    assert not {removed.x509_key, removed.jwt_key, removed.wit_key} & held(keys)


def test_a_generation_that_could_not_be_made_leaves_nothing():
    keys = fresh_keys(BrokenKeys)
    world = TrustWorld(keys=keys)
    desk = world.desk()
    before = held(keys)
    keys.broken = {"create"}
    with pytest.raises(Unavailable):
        desk.rotate(activate=False)
    assert begun(world)
    keys.broken = set()
    desk.tend()
    assert not begun(world)
    assert held(keys) == before
    assert states(desk) == ["active"]


def test_one_whose_keys_are_lost_does_not_take_the_place_of_one_that_signs():
    world = TrustWorld()
    desk = world.desk()
    desk.rotate(activate=False)
    first, second = desk.authorities()
    world.keys.destroy(second.jwt_key)
    with pytest.raises(Unavailable) as told:
        desk.rotate(activate=True)
    assert told.value.code == "authority_keys.missing"
    assert active_of(desk) == first.id
    desk.remove(second.id)
    desk.rotate(activate=True)
    assert states(desk) == ["old", "removed", "active"]


def test_an_authority_without_a_key_on_p256_is_none():
    world = TrustWorld()
    authority = world.desk().authorities()[0]
    rsa_certificate = replace(authority, certificate=_rsa_certificate())
    with pytest.raises(Broken):
        checked_keys(rsa_certificate, world.keys)


def _rsa_certificate():
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65_537, 2048)
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2027, 1, 1, tzinfo=UTC)).public_key(key.public_key())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# --- watching -----------------------------------------------------------------------------------------


def test_who_watches_is_told_of_each_change_of_a_bundle_and_of_nothing_else():
    world = TrustWorld()
    desk = world.desk()
    told = []
    end = desk.watch(lambda: told.append(sequence_of(desk)))
    desk.tend()
    assert told == []
    desk.rotate(activate=False)
    desk.rotate(activate=True)
    desk.remove(active_of(desk))
    assert told == sorted(set(told))
    assert len(told) == 2, "letting a prepared one sign changes no bundle"
    desk.set_federated(foreign_bundle())
    assert len(told) == 3
    end()
    end()
    desk.drop_federated(FOREIGN)
    assert len(told) == 3


def test_a_watch_is_called_in_its_event_loop_also_for_a_change_in_another_thread():
    desk = TrustWorld().desk()
    told = []

    async def watching():
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def note():
            told.append(asyncio.get_running_loop() is loop)
            changed.set()

        end = desk.watch(note)
        await asyncio.to_thread(desk.rotate, activate=False)
        await asyncio.wait_for(changed.wait(), 10)
        end()
        await asyncio.to_thread(desk.remove, active_of(desk))
        await asyncio.sleep(0)
        desk.watch(note)

    asyncio.run(watching())
    assert told == [True]
    desk.rotate(activate=False)
    assert told == [True], "its loop has ended, and the change goes on"


def test_who_has_ended_a_watch_is_not_told_of_what_was_already_on_its_way():
    desk = TrustWorld().desk()
    told = []

    async def watching():
        end = desk.watch(lambda: told.append(1))
        desk.rotate(activate=False)
        end()
        await asyncio.sleep(0)

    asyncio.run(watching())
    assert told == []
