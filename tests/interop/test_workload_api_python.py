"""The PyPI package `spiffe`, which others wrote, in processes of its own, at our Workload API."""

from __future__ import annotations

import asyncio

import pytest

from answerable.apps.workload_api import Doors
from tests.interop.workload_clients import PYTHON_CLIENT, met, running
from tests.worlds.workload_api import DOMAIN, LOOPS, OTHER, World, in_loop, named, serving

DOMAINS = sorted((DOMAIN, OTHER))


@pytest.mark.requirement("MANIFEST-15")
@pytest.mark.requirement("WAPI-01")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_workload_fetches_its_svids_and_bundles_and_has_a_token_validated(tmp_path, loop):
    async def scenario():
        async with (
            serving(World(), tmp_path / "api", doors=Doors(wit=True, broker=True)),
            running(tmp_path / "api", *PYTHON_CLIENT, "fetch", "billing") as workload,
        ):
            mine = f"spiffe://{DOMAIN}/agent/tester/{workload.pid}"
            assert await workload.told() == {
                "ids": [mine],
                "jwt_ids": [mine],
                "x509_bundles": DOMAINS,
                "jwt_bundles": DOMAINS,
                "checked": mine,
                "validated": mine,
            }

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-02")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_watching_workload_gets_the_next_svid_before_the_last_one_is_half_gone(tmp_path, loop):
    async def scenario():
        # Two or three seconds to live: a new one comes with every second or so.
        world = World(x509_seconds=3)
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *PYTHON_CLIENT, "watch") as workload,
        ):
            serials = {(await workload.told_of("x509"))["serial"] for _ in range(3)}
            assert len(serials) == 3

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-02")
def test_a_watching_workload_sees_authorities_and_federated_domains_come_and_go(tmp_path):
    async def scenario():
        world = World()
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *PYTHON_CLIENT, "watch") as workload,
        ):
            first = await workload.told_of("x509")
            assert (first["authorities"], first["bundles"]) == (1, DOMAINS)
            world.rotate()
            second = await workload.told_of("x509")
            assert (second["authorities"], second["bundles"]) == (2, DOMAINS)
            assert second["serial"] != first["serial"]
            world.others.clear()
            world.tell()
            assert (await workload.told_of("x509"))["bundles"] == [DOMAIN]

    in_loop(scenario)


@pytest.mark.requirement("WAPI-02")
def test_a_watching_workload_sees_keys_for_tokens_come_and_go(tmp_path):
    async def scenario():
        world = World(others={})
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *PYTHON_CLIENT, "watch") as workload,
        ):
            first = (await workload.told_of("jwt"))["kids"]
            world.rotate()
            second = (await workload.told_of("jwt"))["kids"]
            assert set(first) < set(second)
            world.old.clear()
            world.tell()
            assert (await workload.told_of("jwt"))["kids"] == [world.authority.kid]

    in_loop(scenario)


@pytest.mark.requirement("WAPI-03")
def test_a_workload_whose_identity_is_withdrawn_loses_its_streams(tmp_path):
    async def scenario():
        world = World()
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *PYTHON_CLIENT, "watch") as workload,
        ):
            await workload.told_of("x509")
            world.who = lambda _: ()
            world.tell()
            # The client tries again and again; what it finds then is the same no.
            await asyncio.sleep(0.05)
            world.who = lambda _: (named("/agent/again/1"),)
            assert (await workload.told_of("x509"))["id"] == f"spiffe://{DOMAIN}/agent/again/1"

    in_loop(scenario)


@pytest.mark.requirement("WAPI-04")
def test_a_process_without_an_identity_is_told_no(tmp_path):
    async def scenario():
        async with (
            serving(World(who=lambda _: ()), tmp_path / "api"),
            running(tmp_path / "api", *PYTHON_CLIENT, "fetch", "billing") as workload,
        ):
            with pytest.raises(AssertionError, match="PERMISSION_DENIED"):
                await workload.told()

    in_loop(scenario)


@pytest.mark.requirement("WAPI-05")
def test_two_workloads_meet_in_mutual_tls_with_what_they_got(tmp_path):
    async def scenario():
        async with serving(World(), tmp_path / "api"):
            await met(tmp_path / "api", PYTHON_CLIENT, PYTHON_CLIENT)

    in_loop(scenario)
