"""What somebody tries against the trust domain: with the clock, with a stolen authority, from a foreign domain, and
with the files that its keys and its state are in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.adapters.sqlite import SqliteAuthorityRegister, SqliteStore
from answerable.core.identity.svid.authority import BACKDATE_MILLIS
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.trust_bundle import TrustBundle, encoded_bundle, parse_bundle
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Malformed, Refused, Unavailable, Unverified
from tests.worlds.trust import (
    DOMAIN,
    FOREIGN,
    HOUR,
    WORKLOAD,
    TrustWorld,
    active_of,
    sequence_of,
    states,
    workload_key,
)

KEY = workload_key().public_key()
PERSON = "somebody"


def on_disk(directory: Path) -> TrustWorld:
    """A server's state in files; a second one on the same directory is a restart."""
    return TrustWorld(
        keys=LocalAuthorityKeys.open(directory / "authorities"),
        register=SqliteAuthorityRegister(SqliteStore.open(directory / "registers.db")),
    )


def all_of(issuer):
    return issuer.x509(WORKLOAD, KEY), issuer.jwt(WORKLOAD, (PERSON,)), issuer.wit(WORKLOAD, jwk_text(KEY))


def believed(svids, desk, now) -> list[str]:
    """Which of the three are still believed by whoever has the bundle of this desk."""
    x509_svid, token, wit = svids
    checks = {
        "x509": lambda: verified_x509_svid((x509_svid.leaf,), bundle_of=desk.bundle, now=now),
        "jwt": lambda: verified_jwt_svid(token, audience=PERSON, bundle_of=desk.bundle, now=now),
        "wit": lambda: verified_wit_svid(wit, bundle_of=desk.bundle, now=now),
    }
    found = []
    for kind, check in checks.items():
        try:
            check()
        except Unverified:
            continue
        found.append(kind)
    return found


# --- the clock ----------------------------------------------------------------------------------------


@pytest.mark.requirement("TRUST-10")
@pytest.mark.parametrize("back", [BACKDATE_MILLIS // 1000 + 1, HOUR, 400 * 24 * HOUR])
def test_with_the_clock_set_back_before_its_authority_nothing_is_signed_and_nothing_made(back: int) -> None:
    world = TrustWorld()
    desk = world.desk()
    issuer = world.issuer(desk)
    before = desk.authorities(), sequence_of(desk)
    world.clock.jump(-back)
    for _ in range(3):
        assert not desk.tend()
        with pytest.raises(Unavailable) as told:
            all_of(issuer)
        assert told.value.code == "authority.not_yet_valid"
    assert (desk.authorities(), sequence_of(desk)) == before
    restarted = world.desk()
    with pytest.raises(Unavailable):
        all_of(world.issuer(restarted))
    assert (restarted.authorities(), sequence_of(restarted)) == before
    world.clock.jump(back)
    assert believed(all_of(issuer), desk, world.clock.now()) == ["x509", "jwt", "wit"]


@pytest.mark.requirement("TRUST-10", "TRUST-03")
def test_setting_the_clock_back_does_not_bring_a_withdrawn_authority_back_or_lower_the_sequence() -> None:
    world = TrustWorld()
    desk = world.desk()
    world.clock.advance(2 * HOUR)
    stolen = all_of(world.issuer(desk))
    removed, at = active_of(desk), world.clock.now()
    desk.remove(removed)
    published = sequence_of(desk)
    for seconds in (-HOUR, -24 * HOUR):
        world.clock.jump(seconds)
        for one in (desk, world.desk()):
            one.tend()
            assert believed(stolen, one, at) == []
            assert sequence_of(one) >= published
            assert [a.state for a in one.authorities() if a.id == removed] == ["removed"]
    desk.rotate(activate=False)
    assert sequence_of(desk) > published


@pytest.mark.requirement("TRUST-10")
def test_after_a_clock_that_was_ahead_an_operator_gets_an_authority_that_is_valid_now() -> None:
    world = TrustWorld()
    desk = world.desk()
    world.clock.jump(365 * 24 * HOUR)
    desk.tend()
    ahead = sequence_of(desk)
    world.clock.jump(-365 * 24 * HOUR)
    desk.tend()
    with pytest.raises(Unavailable) as told:
        all_of(world.issuer(desk))
    assert told.value.code == "authority.not_yet_valid"
    assert "rotate" in told.value.message
    desk.rotate(activate=True)
    assert believed(all_of(world.issuer(desk)), desk, world.clock.now()) == ["x509", "jwt", "wit"]
    assert sequence_of(desk) > ahead


@pytest.mark.requirement("TRUST-10")
def test_a_clock_that_is_set_back_does_not_lengthen_what_was_issued() -> None:
    world = TrustWorld()
    desk = world.desk()
    world.clock.advance(20 * HOUR)
    issuer = world.issuer(desk)
    first = issuer.x509(WORKLOAD, KEY)
    world.clock.jump(-10 * HOUR)
    second = issuer.x509(WORKLOAD, KEY)
    assert second.not_after == first.not_after - 10 * HOUR * 1000


# --- an authority that is stolen or removed -----------------------------------------------------------


@pytest.mark.requirement("TRUST-02")
def test_after_mass_revocation_nothing_of_the_removed_authority_is_believed_and_service_goes_on() -> None:
    world = TrustWorld()
    desk = world.desk()
    issuer = world.issuer(desk)
    stolen = [all_of(issuer) for _ in range(3)]
    changes: list[int] = []
    desk.watch(lambda: changes.append(sequence_of(desk)))
    desk.remove(active_of(desk))
    now = world.clock.now()
    assert [believed(svids, desk, now) for svids in stolen] == [[], [], []]
    assert believed(all_of(issuer), desk, now) == ["x509", "jwt", "wit"]
    assert changes == [sequence_of(desk)], "those who hold its SVIDs are told once, when others can be had"


@pytest.mark.requirement("TRUST-02")
def test_who_has_an_old_authoritys_keys_is_stopped_by_removing_it() -> None:
    world = TrustWorld()
    desk = world.desk()
    stolen = all_of(world.issuer(desk))
    old = active_of(desk)
    desk.rotate(activate=True)
    now = world.clock.now()
    assert believed(stolen, desk, now) == ["x509", "jwt", "wit"], "an old one is still believed"
    kept = all_of(world.issuer(desk))
    desk.remove(old)
    assert believed(stolen, desk, now) == []
    assert believed(kept, desk, now) == ["x509", "jwt", "wit"]


@pytest.mark.requirement("TRUST-02", "TRUST-05")
def test_a_removal_holds_over_restarts_and_an_old_copy_of_the_key_files_helps_nobody(tmp_path: Path) -> None:
    world = on_disk(tmp_path)
    desk = world.desk()
    stolen = all_of(world.issuer(desk))
    copies = {file: file.read_bytes() for file in (tmp_path / "authorities").iterdir()}
    removed = active_of(desk)
    desk.remove(removed)
    assert not any(file.exists() for file in copies)
    for file, content in copies.items():
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as opened:
            opened.write(content)
    again = on_disk(tmp_path).desk()
    assert believed(stolen, again, world.clock.now()) == []
    assert removed != active_of(again)
    assert not any(file.exists() for file in copies), "what was put back is destroyed again"


@pytest.mark.requirement("TRUST-04")
def test_a_workload_that_signs_with_its_own_svid_as_an_authority_is_not_believed() -> None:
    from answerable.core.identity.svid.x509_svid import authority_certificate

    world = TrustWorld()
    desk = world.desk()
    own = workload_key()
    svid = world.issuer(desk).x509(WORKLOAD, own.public_key())
    forger = TrustWorld()
    forged = forger.issuer(forger.desk()).x509(WORKLOAD, KEY)
    now = world.clock.now()
    rogue = authority_certificate(
        domain=DOMAIN, key=own, serial=7, not_before=svid.not_before, not_after=svid.not_after
    )
    for chain in (
        (forged.leaf,),
        (forged.leaf, svid.leaf),
        (forged.leaf, rogue),
        (rogue,),
        (forged.leaf, rogue, svid.leaf),
    ):
        with pytest.raises(Unverified):
            verified_x509_svid(chain, bundle_of=desk.bundle, now=now)


# --- a foreign domain ---------------------------------------------------------------------------------


def hostile() -> tuple[TrustWorld, TrustBundle]:
    """A domain that calls itself as we do, with authorities and SVIDs of its own making."""
    world = TrustWorld()
    world.entropy.bytes(1)
    bundle = world.desk().bundle(DOMAIN)
    assert bundle is not None
    return world, bundle


@pytest.mark.requirement("TRUST-11")
def test_a_foreign_bundle_with_authorities_that_name_our_domain_makes_nobody_one_of_us() -> None:
    theirs, bundle = hostile()
    forged = all_of(theirs.issuer(theirs.desk()))
    world = TrustWorld()
    desk = world.desk()
    now = world.clock.now()
    # Fetched for the foreign domain that the operator configured: what it says inside changes nothing of that.
    desk.set_federated(parse_bundle(encoded_bundle(bundle), domain=FOREIGN))
    assert believed(forged, desk, now) == []
    assert believed(all_of(world.issuer(desk)), desk, now) == ["x509", "jwt", "wit"]
    again = world.desk()
    assert believed(forged, again, now) == []
    with pytest.raises(Refused) as told:
        desk.set_federated(bundle)
    assert told.value.code == "federation.own_domain"


@pytest.mark.requirement("TRUST-11")
def test_what_the_register_holds_about_our_own_domain_as_foreign_is_not_believed(tmp_path: Path) -> None:
    theirs, bundle = hostile()
    forged = all_of(theirs.issuer(theirs.desk()))
    world = on_disk(tmp_path)
    world.register.keep_federated(DOMAIN, encoded_bundle(bundle))
    desk = world.desk()
    assert believed(forged, desk, world.clock.now()) == []


@pytest.mark.requirement("TRUST-11")
def test_our_authority_names_nobody_of_a_foreign_domain_and_theirs_nobody_of_ours() -> None:
    theirs = TrustWorld(domain=FOREIGN)
    their_desk = theirs.desk()
    bundle = their_desk.bundle(FOREIGN)
    assert bundle is not None
    world = TrustWorld()
    desk = world.desk()
    desk.set_federated(bundle)
    with pytest.raises(Malformed):
        theirs.issuer(their_desk).x509(WORKLOAD, KEY)
    from answerable.core.identity.names.spiffe_id import spiffe_id

    guest = theirs.issuer(their_desk).x509(spiffe_id(f"spiffe://{FOREIGN}/agent/guest/1"), KEY)
    now = world.clock.now()
    assert verified_x509_svid((guest.leaf,), bundle_of=desk.bundle, now=now).id.trust_domain == FOREIGN
    desk.drop_federated(FOREIGN)
    with pytest.raises(Unverified):
        verified_x509_svid((guest.leaf,), bundle_of=desk.bundle, now=now)


# --- keys and state -----------------------------------------------------------------------------------


@pytest.mark.requirement("TRUST-08")
def test_a_restart_goes_on_with_the_same_authority_and_what_it_signed_is_believed(tmp_path: Path) -> None:
    world = on_disk(tmp_path)
    desk = world.desk()
    before = all_of(world.issuer(desk))
    bundle = desk.bundle(DOMAIN)
    restarted = on_disk(tmp_path)
    again = restarted.desk()
    assert again.bundle(DOMAIN) == bundle
    assert believed(before, again, world.clock.now()) == ["x509", "jwt", "wit"]
    assert believed(all_of(restarted.issuer(again)), desk, world.clock.now()) == ["x509", "jwt", "wit"]


@pytest.mark.requirement("TRUST-08")
@pytest.mark.parametrize("kind", ["x509", "jwt", "wit"])
@pytest.mark.parametrize("state", ["active", "prepared"])
def test_a_lost_key_stops_the_start_and_never_silently_makes_a_new_authority(
    kind: str, state: str, tmp_path: Path
) -> None:
    world = on_disk(tmp_path)
    desk = world.desk()
    desk.rotate(activate=False)
    lost = next(a.id for a in desk.authorities() if a.state == state)
    file = tmp_path / "authorities" / f"{lost}-{kind}.pem"
    copy = file.read_bytes()
    file.unlink()
    before = world.register.read()
    restarted = on_disk(tmp_path)
    closed = restarted.closed_desk()
    for _ in range(2):
        with pytest.raises(Unavailable) as told:
            closed.open()
        assert told.value.code == "authority_keys.missing"
        assert lost in told.value.message
        assert "restore it from a backup" in told.value.message
    assert closed.bundles() == {}
    with pytest.raises(Unavailable):
        restarted.issuer(closed).jwt(WORKLOAD, (PERSON,))
    with pytest.raises(Unavailable):
        closed.tend()
    assert restarted.register.read() == before
    # Either way that the message names goes on from here.
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as opened:
        opened.write(copy)
    assert states(on_disk(tmp_path).desk()) == ["active", "prepared"]
    file.unlink()
    closed.remove(lost)
    assert closed.bundles() == {}, "removing does not open"
    closed.open()
    assert states(closed).count("active") == 1
    assert lost not in {a.id for a in closed.authorities() if a.is_published}


@pytest.mark.requirement("TRUST-08")
def test_a_key_that_somebody_put_in_anothers_place_stops_the_start(tmp_path: Path) -> None:
    world = on_disk(tmp_path)
    desk = world.desk()
    name = desk.authorities()[0].jwt_key
    world.keys.destroy(name)
    world.keys.create(name)
    with pytest.raises(Unavailable) as told:
        on_disk(tmp_path).desk()
    assert told.value.code == "authority_keys.changed"


@pytest.mark.requirement("TRUST-09")
def test_a_lost_state_begins_anew_with_another_id_and_a_higher_sequence(tmp_path: Path) -> None:
    world = on_disk(tmp_path / "before")
    desk = world.desk()
    desk.rotate(activate=True)
    desk.remove(active_of(desk))
    before = all_of(world.issuer(desk))
    known = {a.id for a in desk.authorities()}
    fresh = on_disk(tmp_path / "after")
    fresh.entropy.bytes(8)
    fresh.clock.advance(60)
    again = fresh.desk()
    assert not known & {a.id for a in again.authorities()}
    assert sequence_of(again) > sequence_of(desk)
    assert believed(before, again, fresh.clock.now()) == []
    assert believed(all_of(fresh.issuer(again)), again, fresh.clock.now()) == ["x509", "jwt", "wit"]


@pytest.mark.requirement("TRUST-09")
def test_a_lost_register_beside_old_key_files_begins_anew_and_uses_none_of_them(tmp_path: Path) -> None:
    world = on_disk(tmp_path)
    old = active_of(world.desk())
    for file in tmp_path.glob("registers.db*"):
        file.unlink()
    fresh = on_disk(tmp_path)
    fresh.entropy.bytes(8)
    again = fresh.desk()
    assert active_of(again) != old
    assert states(again) == ["active"]
