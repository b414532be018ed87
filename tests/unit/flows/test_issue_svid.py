"""What the issuer signs, for whom, and until when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from answerable.adapters.local_keys import LocalAuthorityKeys
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.svid.jwt_svid import verified_jwt_svid
from answerable.core.identity.svid.svid_keys import jwk_text
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.core.identity.svid.x509_svid import verified_x509_svid
from answerable.errors import Broken, Malformed, Unavailable
from answerable.flows.trust_domain.make_authority import new_serial
from answerable.testing.clock import START
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh_keys
from tests.worlds.trust import DOMAIN, HOUR, WORKLOAD, TrustWorld, active_of, workload_key

KEY = workload_key().public_key()


def opened():
    world = TrustWorld()
    desk = world.desk()
    return world, desk, world.issuer(desk)


def test_an_x509_svid_is_over_the_key_that_was_given_and_lives_for_an_hour():
    world, desk, issuer = opened()
    world.clock.advance(HOUR)
    now = world.clock.now()
    svid = issuer.x509(WORKLOAD, KEY)
    assert svid.id == WORKLOAD
    assert svid.chain == ()
    assert svid.public_key == KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert svid.not_before == now - 30_000
    assert svid.not_after == now + 3_600_000
    assert verified_x509_svid((svid.leaf,), bundle_of=desk.bundle, now=now) == svid
    assert x509.load_der_x509_certificate(svid.leaf).serial_number == svid.serial


def test_an_svid_is_not_dated_before_its_authority():
    world = TrustWorld()
    world.clock.advance(0.999)
    desk = world.desk()
    svid = world.issuer(desk).x509(WORKLOAD, KEY)
    assert svid.not_before == START - 30_000
    world.clock.jump(-45)
    assert world.issuer(desk).x509(WORKLOAD, KEY).not_before == desk.authorities()[0].not_before


def test_nothing_outlives_the_authority_that_signed_it():
    world, desk, issuer = opened()
    world.clock.advance(24 * HOUR - 100)
    now, end = world.clock.now(), desk.authorities()[0].not_after
    assert end == now + 100_000
    assert issuer.x509(WORKLOAD, KEY).not_after == end
    token = issuer.jwt(WORKLOAD, ("somebody",))
    assert verified_jwt_svid(token, audience="somebody", bundle_of=desk.bundle, now=now).expires_at == end
    wit = issuer.wit(WORKLOAD, jwk_text(KEY))
    assert verified_wit_svid(wit, bundle_of=desk.bundle, now=now).expires_at == end
    world.clock.advance(100)
    for ask in (
        lambda: issuer.x509(WORKLOAD, KEY),
        lambda: issuer.jwt(WORKLOAD, ("somebody",)),
        lambda: issuer.wit(WORKLOAD, jwk_text(KEY)),
    ):
        with pytest.raises(Unavailable) as told:
            ask()
        assert told.value.code == "authority.expired"


def test_a_jwt_svid_is_for_its_audience_and_lives_for_five_minutes():
    world, desk, issuer = opened()
    now = world.clock.now()
    token = issuer.jwt(WORKLOAD, ("somebody", "another"))
    svid = verified_jwt_svid(token, audience="another", bundle_of=desk.bundle, now=now)
    assert (svid.id, svid.audience, svid.expires_at) == (WORKLOAD, ("somebody", "another"), now + 300_000)


def test_a_wit_svid_names_the_key_and_lives_for_five_minutes():
    world, desk, issuer = opened()
    now = world.clock.now()
    tokens = [issuer.wit(WORKLOAD, jwk_text(KEY)) for _ in range(2)]
    svids = [verified_wit_svid(token, bundle_of=desk.bundle, now=now) for token in tokens]
    assert {(svid.id, svid.key, svid.expires_at) for svid in svids} == {
        (WORKLOAD, jwk_text(KEY), now + 300_000)
    }
    assert len({svid.claims["jti"] for svid in svids}) == 2


@pytest.mark.parametrize(
    "name",
    [f"spiffe://{DOMAIN}", "spiffe://foreign.example/agent/scout/1", "spiffe://answerable.example.org/a"],
)
def test_only_workloads_of_our_own_domain_are_named(name):
    _, _, issuer = opened()
    identity = spiffe_id(name)
    for ask in (
        lambda: issuer.x509(identity, KEY),
        lambda: issuer.jwt(identity, ("somebody",)),
        lambda: issuer.wit(identity, jwk_text(KEY)),
    ):
        with pytest.raises(Malformed) as told:
            ask()
        assert told.value.code == "svid.issue"


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate().public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
    ],
)
def test_a_key_that_others_would_not_take_gets_no_certificate(key):
    _, _, issuer = opened()
    with pytest.raises(Malformed):
        issuer.x509(WORKLOAD, key)


def test_serials_are_159_random_bits_and_never_nought():
    entropy = SeededEntropy("serials")
    serials = [new_serial(entropy) for _ in range(2000)]
    assert len(set(serials)) == len(serials)
    assert max(serial.bit_length() for serial in serials) == 159
    for bit in range(159):
        assert 800 < sum(serial >> bit & 1 for serial in serials) < 1200

    class Nought(SeededEntropy):
        def bytes(self, count):
            return bytes(count)

    assert new_serial(Nought()) == 1


def test_when_another_process_has_let_the_next_one_sign_the_issuer_signs_with_that():
    world, desk, issuer = opened()
    issuer.jwt(WORKLOAD, ("somebody",))
    other = world.desk()
    other.rotate(activate=True)
    other.tend()
    svid = issuer.x509(WORKLOAD, KEY)
    assert active_of(desk) == active_of(other)
    assert verified_x509_svid((svid.leaf,), bundle_of=other.bundle, now=world.clock.now()) == svid


def test_when_a_key_is_lost_under_a_running_server_nothing_is_signed_and_no_other_authority_is_made():
    world, desk, issuer = opened()
    issuer.x509(WORKLOAD, KEY)
    authority = desk.authorities()[0]
    world.keys.destroy(authority.x509_key)
    with pytest.raises(Unavailable) as told:
        issuer.x509(WORKLOAD, KEY)
    assert told.value.code == "authority_keys.missing"
    assert desk.authorities() == (authority,)
    assert issuer.jwt(WORKLOAD, ("somebody",)), "the other keys are there"


def test_a_store_that_fails_otherwise_is_told_as_it_is():
    class Failing(LocalAuthorityKeys):
        def sign(self, name, message):
            if self.fails:
                raise Unavailable("no token", code="authority_keys.unavailable", port="authority_keys")
            return super().sign(name, message)

        fails = False

    keys = fresh_keys(Failing)
    world = TrustWorld(keys=keys)
    issuer = world.issuer(world.desk())
    keys.fails = True
    with pytest.raises(Unavailable) as told:
        issuer.x509(WORKLOAD, KEY)
    assert told.value.code == "authority_keys.unavailable"


def test_what_would_not_verify_by_our_own_bundle_is_not_given_out():
    """A store that signs with another key than it says it has."""
    stranger = workload_key()

    class Lying(LocalAuthorityKeys):
        lies = False

        def sign(self, name, message):
            from cryptography.hazmat.primitives import hashes

            return (
                stranger.sign(message, ec.ECDSA(hashes.SHA256()))
                if self.lies
                else super().sign(name, message)
            )

    keys = fresh_keys(Lying)
    world = TrustWorld(keys=keys)
    issuer = world.issuer(world.desk())
    keys.lies = True
    for ask in (
        lambda: issuer.x509(WORKLOAD, KEY),
        lambda: issuer.jwt(WORKLOAD, ("somebody",)),
        lambda: issuer.wit(WORKLOAD, jwk_text(KEY)),
    ):
        with pytest.raises(Broken) as told:
            ask()
        assert told.value.code == "svid.issued"


@pytest.mark.parametrize("kind", ["x509", "jwt", "wit"])
def test_an_authority_that_is_removed_while_it_signs_is_replaced_by_the_one_that_signs_then(kind):
    class Interrupted(LocalAuthorityKeys):
        def sign(self, name, message):
            signature = super().sign(name, message)
            # Only once it signs an SVID: the certificates of authorities are signed under the desk's lock.
            if name == self.name and self.meanwhile:
                self.meanwhile.pop()()
            return signature

        name = ""
        meanwhile: list[Callable[[], None]]

    keys = fresh_keys(Interrupted)
    keys.meanwhile = []
    world = TrustWorld(keys=keys)
    desk = world.desk()
    issuer = world.issuer(desk)
    first = desk.authorities()[0]
    keys.name = f"{first.id}-{kind}"
    keys.meanwhile.append(lambda: desk.remove(first.id))
    now = world.clock.now()
    if kind == "x509":
        svid = issuer.x509(WORKLOAD, KEY)
        assert verified_x509_svid((svid.leaf,), bundle_of=desk.bundle, now=now) == svid
    elif kind == "jwt":
        token = issuer.jwt(WORKLOAD, ("somebody",))
        assert verified_jwt_svid(token, audience="somebody", bundle_of=desk.bundle, now=now).id == WORKLOAD
    else:
        wit = issuer.wit(WORKLOAD, jwk_text(KEY))
        assert verified_wit_svid(wit, bundle_of=desk.bundle, now=now).id == WORKLOAD
    assert active_of(desk) != first.id
