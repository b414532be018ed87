"""go-spiffe, the reference library of the SPIFFE project in Go, in processes of its own, at our Workload API."""

from __future__ import annotations

import pytest

from answerable.apps.workload_api import Doors
from tests.interop.programs import go_workload
from tests.interop.workload_clients import PYTHON_CLIENT, met, running
from tests.worlds.workload_api import DOMAIN, LOOPS, OTHER, World, in_loop, named, serving

DOMAINS = sorted((DOMAIN, OTHER))


@pytest.fixture(scope="module")
def go_client() -> str:
    return str(go_workload())


@pytest.mark.requirement("MANIFEST-15")
@pytest.mark.requirement("WAPI-01")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_workload_fetches_all_its_svids_with_hints_and_has_a_token_validated(tmp_path, go_client, loop):
    async def scenario():
        identities = (named("/agent/a/1", "internal"), named("/agent/a/2", "external"))
        ids = [str(identity.id) for identity in identities]
        async with (
            serving(World(who=lambda _: identities), tmp_path / "api", doors=Doors(wit=True, broker=True)),
            running(tmp_path / "api", go_client, "fetch", "billing") as workload,
        ):
            assert await workload.told() == {
                "ids": ids,
                "hints": ["internal", "external"],
                "jwt_ids": ids,
                "x509_bundles": DOMAINS,
                "jwt_bundles": DOMAINS,
                "checked": ids[0],
                "validated": ids[0],
            }

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-02")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_watching_workload_gets_rotated_svids_authorities_and_keys(tmp_path, go_client, loop):
    async def scenario():
        world = World(x509_seconds=3, others={})
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", go_client, "watch") as workload,
        ):
            serials = {(await workload.told_of("x509"))["serial"] for _ in range(3)}
            assert len(serials) == 3
            world.x509_seconds = 3600
            world.rotate()
            while (seen := await workload.told_of("x509"))["authorities"] != 2:
                assert seen["authorities"] == 1
            assert seen["bundles"] == [DOMAIN]

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-02")
def test_a_watching_workload_sees_keys_for_tokens_come_and_go(tmp_path, go_client):
    async def scenario():
        world = World(others={})
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", go_client, "watch") as workload,
        ):
            first = (await workload.told_of("jwt"))["kids"]
            world.rotate()
            assert set(first) < set((await workload.told_of("jwt"))["kids"])
            world.old.clear()
            world.tell()
            assert (await workload.told_of("jwt"))["kids"] == [world.authority.kid]

    in_loop(scenario)


@pytest.mark.requirement("WAPI-03")
def test_a_workload_whose_identity_is_withdrawn_hears_that_permission_is_denied(tmp_path, go_client):
    async def scenario():
        world = World()
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", go_client, "watch") as workload,
        ):
            await workload.told_of("x509")
            world.who = lambda _: ()
            world.tell()
            assert "PermissionDenied" in (await workload.told_of("error"))["error"]
            world.who = lambda _: (named("/agent/again/1"),)
            assert (await workload.told_of("x509"))["id"] == f"spiffe://{DOMAIN}/agent/again/1"

    in_loop(scenario)


@pytest.mark.requirement("WAPI-05")
@pytest.mark.parametrize("listener", ["go", "python"])
@pytest.mark.parametrize("caller", ["go", "python"])
def test_workloads_of_two_languages_meet_in_mutual_tls(tmp_path, go_client, listener, caller):
    async def scenario():
        clients = {"go": (go_client,), "python": PYTHON_CLIENT}
        async with serving(World(), tmp_path / "api"):
            await met(tmp_path / "api", clients[listener], clients[caller])

    in_loop(scenario)
