"""What a verified caller says of the key or certificate it proved, for comparing with a token's `cnf`."""

from __future__ import annotations

from hashlib import sha256

import pytest

from answerable.core.base64url import to_base64url
from answerable.core.identity.proof.channel import Channel
from tests.worlds.proof import ProofWorld, agent, request, unix

pytestmark = pytest.mark.requirement("DPOP-10")

CERTIFICATE = sha256(b"a certificate").digest()


@pytest.fixture
def world() -> ProofWorld:
    return ProofWorld()


def test_signature_and_session_name_the_key_that_signed(world: ProofWorld) -> None:
    for key in (world.crm_key, world.pay_key):
        session = world.session(key=key)
        for caller in (
            world.verifier.verify(world.signed(key=key)),
            world.verifier.verify(session.proved(1)),
            session.opened.caller,
        ):
            assert (caller.key, caller.certificate) == (key.public.thumbprint, "")


def test_a_client_certificate_is_named_as_rfc_8705_has_it(world: ProofWorld) -> None:
    world.registry.swap(agent("crm", certificates=(CERTIFICATE.hex(),)))
    caller = world.verifier.verify(
        request(), Channel(connection=1, sequence=1, certificate=CERTIFICATE.hex())
    )
    assert (caller.proof, caller.key, caller.certificate) == ("mtls", "", to_base64url(CERTIFICATE))
    assert caller.holds(certificate=to_base64url(CERTIFICATE))


def test_a_process_that_the_kernel_vouches_for_has_shown_no_key(world: ProofWorld) -> None:
    caller = world.verifier.verify(request(), unix(1001))
    assert (caller.proof, caller.key, caller.certificate) == ("unix_peer", "", "")
    assert not caller.holds(key=world.crm_key.public.thumbprint)


def test_a_token_is_held_by_all_that_its_cnf_names_and_by_nothing_where_it_names_none(
    world: ProofWorld,
) -> None:
    caller = world.verifier.verify(world.signed())
    thumbprint, other = world.crm_key.public.thumbprint, world.pay_key.public.thumbprint
    assert caller.holds(key=thumbprint)
    for named in (
        {},
        {"key": ""},
        {"key": other},
        {"key": thumbprint[:-1]},
        {"key": thumbprint + "\ud800"},
        {"certificate": thumbprint},
        {"key": thumbprint, "certificate": to_base64url(CERTIFICATE)},
    ):
        assert not caller.holds(**named)
