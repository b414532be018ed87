"""The desk of the trust domain among others: foreign domains, and other processes on the same register and keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from answerable.adapters.sqlite import SqliteAuthorityRegister
from answerable.core.identity.names.spiffe_id import TrustDomain
from answerable.core.identity.svid.trust_bundle import TrustBundle
from answerable.errors import Refused, Unavailable
from answerable.flows.trust_domain import keep_trust_domain
from answerable.testing.clock import START
from answerable.testing.registers import fresh
from tests.worlds.trust import DOMAIN, FOREIGN, TrustWorld, active_of, held, sequence_of, states


def foreign_bundle():
    bundle = TrustWorld(domain=FOREIGN).desk().bundle(FOREIGN)
    assert bundle is not None
    return bundle


# --- federation ---------------------------------------------------------------------------------------


def test_a_foreign_bundle_is_believed_also_after_a_restart_until_it_is_dropped():
    world = TrustWorld()
    desk = world.desk()
    bundle = foreign_bundle()
    desk.set_federated(bundle)
    assert desk.bundle(FOREIGN) == bundle
    again = world.desk()
    assert again.bundle(FOREIGN) == bundle
    assert set(again.bundles()) == {DOMAIN, FOREIGN}
    again.drop_federated(FOREIGN)
    assert again.bundle(FOREIGN) is None
    assert desk.bundle(FOREIGN) == bundle
    assert desk.tend()
    assert desk.bundle(FOREIGN) is None


def test_nobody_else_speaks_for_our_domain():
    desk = TrustWorld().desk()
    before = desk.bundle(DOMAIN)
    with pytest.raises(Refused) as told:
        desk.set_federated(TrustBundle(trust_domain=DOMAIN))
    assert told.value.code == "federation.own_domain"
    assert desk.bundle(DOMAIN) is before


def test_a_domain_that_was_renamed_stops_the_start_until_the_old_authority_is_removed():
    world = TrustWorld()
    desk = world.desk()
    desk.set_federated(foreign_bundle())
    world.domain = FOREIGN
    renamed = world.closed_desk()
    with pytest.raises(Unavailable) as told:
        renamed.open()
    assert told.value.code == "authority.domain"
    assert renamed.bundles() == {}
    renamed.remove(active_of(desk))
    renamed.open()
    bundle = renamed.bundle(FOREIGN)
    assert bundle is not None
    assert bundle != desk.bundle(FOREIGN), "what was foreign before is ours alone"
    assert set(renamed.bundles()) == {FOREIGN}
    assert states(renamed) == ["removed", "active"]


def test_an_authority_that_cannot_be_read_back_stops_the_start():
    register = fresh(SqliteAuthorityRegister)
    world = TrustWorld(register=register)
    world.desk()
    with register._store.write() as connection:
        connection.execute("UPDATE authorities SET certificate = ?", (b"\x30\x00",))
    with pytest.raises(Unavailable) as told:
        world.desk()
    assert told.value.code == "register.corrupt"


def test_foreign_domains_are_bounded(monkeypatch):
    monkeypatch.setattr(keep_trust_domain, "FEDERATED_MAX", 2)
    desk = TrustWorld().desk()
    for name in ("a.example", "b.example", "b.example"):
        desk.set_federated(TrustBundle(trust_domain=TrustDomain(name)))
    with pytest.raises(Refused) as told:
        desk.set_federated(TrustBundle(trust_domain=TrustDomain("c.example")))
    assert told.value.code == "federation.too_many"


def test_a_foreign_bundle_that_cannot_be_read_back_is_believed_by_nobody_and_takes_no_other_with_it(caplog):
    world = TrustWorld()
    desk = world.desk()
    other = TrustDomain("other.example")
    desk.set_federated(TrustBundle(trust_domain=other))
    world.register.keep_federated(FOREIGN, b"not a bundle")
    desk.refresh()
    assert set(desk.bundles()) - {desk.domain} == {other}
    assert f"the bundle of `{FOREIGN}` in the register cannot be read" in caplog.text


# --- several processes --------------------------------------------------------------------------------


def test_what_one_process_changes_another_takes_over_when_it_tends():
    world = TrustWorld()
    one, other = world.desk(), world.desk()
    one.remove(active_of(one))
    assert sequence_of(other) < sequence_of(one)
    assert other.tend()
    assert other.bundles() == one.bundles()
    assert active_of(other) == active_of(one)


class RacedRegister(SqliteAuthorityRegister):
    """Another process is faster at the writes whose numbers are in `lost`."""

    def __init__(self, store) -> None:
        super().__init__(store)
        self.lost: set[int] = set()
        self.writes = 0

    def lose(self, *writes):
        self.lost, self.writes = set(writes), 0

    def replace(self, after, *, expected):
        self.writes += 1
        current = self.read()
        if self.writes in self.lost and current is not None:
            super().replace(replace(current, revision=current.revision + 1), expected=current.revision)
        return super().replace(after, expected=expected)


@pytest.mark.parametrize("lost", [(1,), (2,), (3,), (4,), (1, 2), (2, 4), (2, 3, 4, 5), (1, 3, 5)])
def test_who_lost_a_race_begins_again_from_the_newest_state(lost):
    register = fresh(RacedRegister)
    world = TrustWorld(register=register)
    desk = world.desk()
    register.lose(*lost)
    desk.rotate(activate=True)
    assert states(desk) == ["old", "active"]
    register.lose(*lost)
    removed = active_of(desk)
    desk.remove(removed)
    assert states(desk)[:2] == ["old", "removed"]
    assert states(desk).count("active") == 1
    register.lose()
    desk.tend()
    expected = {name for a in desk.authorities() if a.may_sign for name in (a.x509_key, a.jwt_key, a.wit_key)}
    assert held(world.keys) == expected


def test_who_always_loses_gives_up_and_says_so():
    register = fresh(RacedRegister)
    desk = TrustWorld(register=register).desk()
    register.lose(*range(1000))
    with pytest.raises(Unavailable) as told:
        desk.rotate(activate=False)
    assert told.value.code == "authority_register.busy"


class FirstRacedRegister(SqliteAuthorityRegister):
    """Another process starts at the same instant and is first."""

    def replace(self, after, *, expected):
        if expected is None:
            super().replace(replace(after, sequence=after.sequence + 5), expected=None)
        return super().replace(after, expected=expected)


def test_of_two_first_starts_the_second_goes_on_with_what_the_first_wrote():
    desk = TrustWorld(register=fresh(FirstRacedRegister)).desk()
    assert states(desk) == ["active"]
    assert sequence_of(desk) > START // 1000 + 5


@pytest.mark.parametrize("emptied", [True, False])
def test_a_register_that_goes_back_under_a_running_server_is_not_published(emptied):
    register = fresh(SqliteAuthorityRegister)
    desk = TrustWorld(register=register).desk()
    old = register.read()
    desk.rotate(activate=True)
    now = register.read()
    assert old is not None
    assert now is not None
    assert register.replace(old, expected=now.revision)
    if emptied:
        with register._store.write() as connection:
            connection.execute("DELETE FROM trust_domain")
    before = desk.bundles()
    with pytest.raises(Unavailable) as told:
        desk.tend()
    assert told.value.code == "authority_register.rewound"
    assert desk.bundles() is before
