"""Others' libraries at our Workload API, in processes of their own: the PyPI package `spiffe`, and go-spiffe, the
reference library of the SPIFFE project."""

from __future__ import annotations

import asyncio

import pytest

from answerable.apps.workload_api import Doors
from tests.interop.programs import go_workload
from tests.interop.workload_clients import PYTHON_CLIENT, met, running
from tests.worlds.workload_api import DOMAIN, LOOPS, OTHER, World, in_loop, named, serving

DOMAINS = sorted((DOMAIN, OTHER))


def command_of(language: str) -> tuple[str, ...]:
    return PYTHON_CLIENT if language == "python" else (str(go_workload()),)


@pytest.fixture(params=["python", "go"])
def client(request) -> tuple[str, ...]:
    return command_of(request.param)


@pytest.mark.requirement("MANIFEST-15")
@pytest.mark.requirement("WAPI-01")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_workload_fetches_all_its_svids_and_bundles_and_has_a_token_validated(tmp_path, client, loop):
    async def scenario():
        async with (
            serving(
                World(who=lambda peer: (named(f"/agent/tester/{peer.pid}", "internal"), named("/agent/a/2"))),
                tmp_path / "api",
                doors=Doors(wit=True, broker=True),
            ),
            running(tmp_path / "api", *client, "fetch", "billing") as workload,
        ):
            mine = f"spiffe://{DOMAIN}/agent/tester/{workload.pid}"
            ids = [mine, f"spiffe://{DOMAIN}/agent/a/2"]
            told = await workload.told()
            told.pop("hints", None)
            assert told == {
                "ids": ids,
                "jwt_ids": ids,
                "x509_bundles": DOMAINS,
                "jwt_bundles": DOMAINS,
                "checked": mine,
                "validated": mine,
            }

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-01")
def test_a_workload_is_told_the_hints_of_its_svids(tmp_path):
    """The library in Python keeps them to itself."""

    async def scenario():
        identities = (named("/agent/a/1", "internal"), named("/agent/a/2", "external"))
        async with (
            serving(World(who=lambda _: identities), tmp_path / "api"),
            running(tmp_path / "api", *command_of("go"), "fetch", "billing") as workload,
        ):
            assert (await workload.told())["hints"] == ["internal", "external"]

    in_loop(scenario)


@pytest.mark.requirement("WAPI-02")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_watching_workload_gets_the_next_svid_before_the_last_one_is_half_gone(tmp_path, client, loop):
    async def scenario():
        # Two or three seconds to live: a new one comes with every second or so.
        async with (
            serving(World(x509_seconds=3), tmp_path / "api"),
            running(tmp_path / "api", *client, "watch") as workload,
        ):
            serials = {(await workload.told_of("x509"))["serial"] for _ in range(3)}
            assert len(serials) == 3

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-02")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_watching_workload_sees_authorities_and_federated_domains_come_and_go(tmp_path, client, loop):
    async def scenario():
        world = World()
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *client, "watch") as workload,
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

    in_loop(scenario, loop)


@pytest.mark.requirement("WAPI-02")
def test_a_watching_workload_sees_keys_for_tokens_come_and_go(tmp_path, client):
    async def scenario():
        world = World(others={})
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *client, "watch") as workload,
        ):
            first = (await workload.told_of("jwt"))["kids"]
            world.rotate()
            assert set(first) < set((await workload.told_of("jwt"))["kids"])
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


@pytest.mark.requirement("WAPI-03")
def test_a_workload_whose_identity_is_withdrawn_hears_that_permission_is_denied(tmp_path):
    """The library in Python tells nobody while it tries again."""

    async def scenario():
        world = World()
        async with (
            serving(world, tmp_path / "api"),
            running(tmp_path / "api", *command_of("go"), "watch") as workload,
        ):
            await workload.told_of("x509")
            world.who = lambda _: ()
            world.tell()
            assert "PermissionDenied" in (await workload.told_of("error"))["error"]
            world.who = lambda _: (named("/agent/again/1"),)
            assert (await workload.told_of("x509"))["id"] == f"spiffe://{DOMAIN}/agent/again/1"

    in_loop(scenario)


@pytest.mark.requirement("WAPI-04")
def test_a_process_without_an_identity_is_told_no(tmp_path, client):
    async def scenario():
        async with (
            serving(World(who=lambda _: ()), tmp_path / "api"),
            running(tmp_path / "api", *client, "fetch", "billing") as workload,
        ):
            with pytest.raises(AssertionError, match=r"PERMISSION_DENIED|PermissionDenied"):
                await workload.told()

    in_loop(scenario)


@pytest.mark.requirement("WAPI-05")
@pytest.mark.parametrize("listener", ["go", "python"])
@pytest.mark.parametrize("caller", ["go", "python"])
def test_workloads_of_two_languages_meet_in_mutual_tls(tmp_path, listener, caller):
    async def scenario():
        async with serving(World(), tmp_path / "api"):
            await met(tmp_path / "api", command_of(listener), command_of(caller))

    in_loop(scenario)
