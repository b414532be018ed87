"""The Workload API over a real socket, asked by grpclib's client."""

from __future__ import annotations

import json
import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from grpclib.client import Channel
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from joserfc.jwk import ECKey

from answerable.apps.workload_api import ConnectionLimits, Doors
from answerable.apps.workload_api.messages import schema
from answerable.core.identity.keys.compact_jws import TOKEN_CHARS_MAX
from answerable.core.identity.svid.jwt_svid import AUDIENCE_CHARS_MAX, AUDIENCES_MAX
from answerable.core.identity.svid.wit_svid import verified_wit_svid
from answerable.errors import Broken, Malformed, Refused, Unavailable, Unverified
from tests.worlds.workload_api import (
    DOMAIN,
    OTHER,
    World,
    answer_of,
    asked,
    in_loop,
    millis,
    named,
    opened,
    serving,
)

API = "/SpiffeWorkloadAPI"
TWO = (named("/agent/a/1", "one"), named("/agent/a/2", "two"))


def request(name: str, **members):
    return schema().message(name)(**members)


async def refusal(call) -> tuple[Status, str]:
    with pytest.raises(GRPCError) as caught:
        await call
    return caught.value.status, caught.value.message or ""


def at_door(tmp_path, world, scenario, **more):
    async def whole():
        async with serving(world, tmp_path / "api", **more), Channel(path=str(tmp_path / "api")) as client:
            await scenario(client)

    in_loop(whole)


def test_each_svid_comes_with_its_own_key_and_the_bundle_of_its_domain(tmp_path):
    async def scenario(client):
        answer = await asked(client, f"{API}/FetchX509SVID")
        assert [svid.spiffe_id for svid in answer.svids] == [str(one.id) for one in TWO]
        assert [svid.hint for svid in answer.svids] == ["one", "two"]
        keys = []
        for svid in answer.svids:
            leaf = x509.load_der_x509_certificate(svid.x509_svid)
            key = load_der_private_key(svid.x509_svid_key, None)
            spki = [
                one.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                for one in (leaf.public_key(), key.public_key())
            ]
            assert spki[0] == spki[1]
            keys.append(spki[0])
            x509.load_der_x509_certificate(svid.bundle)
        assert keys[0] != keys[1]
        assert list(answer.federated_bundles) == ["spiffe://theirs.example"]

    at_door(tmp_path, World(who=lambda _: TWO), scenario)


def test_one_identity_can_be_asked_for_by_name(tmp_path):
    async def scenario(client):
        wanted = request("JWTSVIDRequest", audience=["x"], spiffe_id=str(TWO[1].id))
        answer = await asked(client, f"{API}/FetchJWTSVID", wanted)
        assert [(svid.spiffe_id, svid.hint) for svid in answer.svids] == [(str(TWO[1].id), "two")]
        wit = await asked(client, f"{API}/FetchWITSVID", request("WITSVIDRequest", spiffe_id=str(TWO[1].id)))
        assert [svid.spiffe_id for svid in wit.svids] == [str(TWO[1].id)]
        other = request("JWTSVIDRequest", audience=["x"], spiffe_id=f"spiffe://{DOMAIN}/agent/a/3")
        status, _ = await refusal(asked(client, f"{API}/FetchJWTSVID", other))
        assert status is Status.PERMISSION_DENIED

    at_door(tmp_path, World(who=lambda _: TWO), scenario, doors=Doors(wit=True))


@pytest.mark.parametrize(
    "audience", [[], [""], ["x", ""], ["x"] * (AUDIENCES_MAX + 1), ["x" * (AUDIENCE_CHARS_MAX + 1)]]
)
def test_an_audience_there_must_be_and_it_has_bounds(tmp_path, audience):
    async def scenario(client):
        bad = request("JWTSVIDRequest", audience=audience)
        assert (await refusal(asked(client, f"{API}/FetchJWTSVID", bad)))[0] is Status.INVALID_ARGUMENT

    at_door(tmp_path, World(), scenario)


def test_a_wit_svid_is_bound_to_the_key_beside_it(tmp_path):
    world = World()

    async def scenario(client):
        svid = (await asked(client, f"{API}/FetchWITSVID")).svids[0]
        judged = verified_wit_svid(svid.wit_svid, bundle_of=world.bundles().get, now=millis())
        private = json.loads(svid.wit_svid_key)
        assert private["alg"] == "ES256"
        assert ECKey.import_key(private).thumbprint() == ECKey.import_key(json.loads(judged.key)).thumbprint()
        bundles = (await asked(client, f"{API}/FetchWITBundles")).bundles
        keys = json.loads(bundles[f"spiffe://{DOMAIN}"])["keys"]
        assert [key["kid"] for key in keys] == [world.authority.wit_kid]

    at_door(tmp_path, world, scenario, doors=Doors(wit=True))


def test_what_is_not_served_is_unimplemented(tmp_path):
    async def scenario(client):
        for path in ("FetchWITSVID", "FetchWITBundles"):
            assert (await refusal(asked(client, f"{API}/{path}")))[0] is Status.UNIMPLEMENTED
        status, _ = await refusal(asked(client, "/spiffe.broker.API/SubscribeToX509SVID"))
        assert status is Status.UNIMPLEMENTED

    at_door(tmp_path, World(), scenario)


def test_a_token_that_checks_is_shown_with_all_it_says(tmp_path):
    async def scenario(client):
        svid = (await asked(client, f"{API}/FetchJWTSVID", request("JWTSVIDRequest", audience=["x"]))).svids[
            0
        ]
        check = request("ValidateJWTSVIDRequest", audience="x", svid=svid.svid)
        answer = await asked(client, f"{API}/ValidateJWTSVID", check)
        assert answer.spiffe_id == svid.spiffe_id == answer.claims["sub"]
        assert list(answer.claims["aud"]) == ["x"]
        assert answer.claims["exp"] > time.time()
        for bad in (
            request("ValidateJWTSVIDRequest", audience="y", svid=svid.svid),
            request("ValidateJWTSVIDRequest", audience="", svid=svid.svid),
            request("ValidateJWTSVIDRequest", audience="x", svid=svid.svid[:-8] + "AAAAAAAA"),
            request("ValidateJWTSVIDRequest", audience="x", svid="nonsense"),
            request("ValidateJWTSVIDRequest", audience="x", svid=""),
            request("ValidateJWTSVIDRequest", audience="x", svid="x" * (TOKEN_CHARS_MAX + 1)),
        ):
            assert (await refusal(asked(client, f"{API}/ValidateJWTSVID", bad)))[0] is Status.INVALID_ARGUMENT

    at_door(tmp_path, World(), scenario)


@pytest.mark.parametrize(
    ("error", "status", "shows"),
    [
        (Unavailable("slow", code="x.slow", port="p"), Status.UNAVAILABLE, "x.slow"),
        (Refused("no", code="x.no"), Status.PERMISSION_DENIED, "x.no"),
        (Unverified("no", code="x.bad", step="s"), Status.PERMISSION_DENIED, "x.bad"),
        (Malformed("no", code="x.odd"), Status.PERMISSION_DENIED, "x.odd"),
        (Broken("no", code="x.broken"), Status.INTERNAL, "internal error"),
        (RuntimeError("hidden"), Status.INTERNAL, "internal error"),
    ],
)
def test_our_errors_are_told_in_grpcs_words(tmp_path, error, status, shows):
    def who(_):
        raise error

    async def scenario(client):
        got, message = await refusal(asked(client, f"{API}/FetchX509SVID"))
        assert got is status
        assert shows in message
        assert "hidden" not in message

    at_door(tmp_path, World(who=who), scenario)


def test_an_open_stream_is_sent_nothing_while_nothing_changes(tmp_path):
    world = World(others={})

    async def scenario(client):
        async with opened(client, f"{API}/FetchX509Bundles") as stream:
            await stream.send_message(request("X509BundlesRequest"), end=True)
            assert len((await answer_of(stream)).bundles) == 1
            for _ in range(3):
                world.tell()
            world.others = {OTHER: world.authority.bundle}
            world.tell()
            assert len((await answer_of(stream)).bundles) == 2
            await stream.cancel()

    at_door(tmp_path, world, scenario)


def test_a_withdrawal_that_nobody_tells_of_is_found_out(tmp_path):
    world = World()

    async def scenario(client):
        async with opened(client, f"{API}/FetchX509SVID") as stream:
            await stream.send_message(request("X509SVIDRequest"), end=True)
            assert (await answer_of(stream)).svids
            world.who = lambda _: ()
            assert await stream.recv_message() is None
            status, _ = await refusal(stream.recv_trailing_metadata())
            assert status is Status.PERMISSION_DENIED
        assert not world.watching

    at_door(tmp_path, world, scenario, limits=ConnectionLimits(recheck_seconds=0.05))


def test_another_name_is_another_set(tmp_path):
    world = World()

    async def scenario(client):
        async with opened(client, f"{API}/FetchX509SVID") as stream:
            await stream.send_message(request("X509SVIDRequest"), end=True)
            assert (await answer_of(stream)).svids[0].spiffe_id.endswith(f"/{os.getpid()}")
            world.who = lambda _: TWO
            world.tell()
            assert [svid.hint for svid in (await answer_of(stream)).svids] == ["one", "two"]
            await stream.cancel()

    at_door(tmp_path, world, scenario)
