"""Whoever was revoked has an older copy of the registers put in place, and comes again."""

from __future__ import annotations

import logging
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from answerable.adapters.sqlite import SqliteTokenRegister
from answerable.core.identity.keys.keys import public_key
from answerable.core.ledger.opened import leaf_of
from answerable.core.ledger.tags import Tag
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.mandate import MandateId
from answerable.core.mandate.revocation import RevocationTarget
from answerable.core.mandate.status_list import VALID, reference_of, verified_status_list
from answerable.flows.recovery.recall_tokens import RecalledTokens
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.entropy import SeededEntropy
from answerable.testing.registers import fresh
from tests.worlds.gateway import until
from tests.worlds.token import TokenWorld, narrow, succeeded, token_world, why_not

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REVOKE-12")]

OLDER = "the registers are older than the ledger"


def registers(place: Path) -> Iterator[Path]:
    """The file, and what SQLite has beside it."""
    return place.glob("answerable.db*")


def taken_away(place: Path) -> None:
    for one in registers(place):
        one.unlink()


def copied(place: Path, copy: Path) -> None:
    copy.mkdir(exist_ok=True)
    for one in registers(place):
        shutil.copy(one, copy / one.name)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    caplog.clear()
    return [one for one in found if one.startswith((OLDER, "people were revoked"))]


def code_of(response: httpx2.Response) -> str:
    assert response.status_code in (400, 401), response.text
    return str(response.json()["answerable_code"])


async def are_refused(world: TokenWorld, root: str) -> None:
    assert "has been revoked" in why_not(await world.call("orchestrator", chain=(root,)))
    assert "has been revoked" in why_not(await world.call("writer", mandate="m-2"))
    assert code_of(await world.exchange("orchestrator", root)) == "revoked.token"
    assert code_of(await world.exchange("writer", "m-2")) == "revoked.agent"


async def test_a_token_and_an_agent_that_were_revoked_are_refused_over_an_older_copy_of_the_registers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, copy = tmp_path / "house", tmp_path / "copy"
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
        await world.mandate(agent="writer", identity="m-2")
        root = await world.root()
        assert succeeded(await world.call("orchestrator", chain=(root,)))
        assert succeeded(await world.call("writer", mandate="m-2"))
    copied(place, copy)
    async with token_world(tmp_path, port=port) as world:
        # The copy is good for everything until something is revoked.
        assert succeeded(await world.call("orchestrator", chain=(root,)))
        for what in (RevocationTarget("token", read_hop(root).jti), RevocationTarget("agent", "writer")):
            await revoke_authority(
                world.walk.recorder,
                world.walk.authority,
                world.walk.live,
                what,
                by="operator",
                reason="seen elsewhere",
            )
        before = set(world.walk.authority.revocations.all())
        await are_refused(world, root)
    taken_away(place)
    copied(copy, place)
    said(caplog)
    async with token_world(tmp_path, port=port) as world:
        assert said(caplog) == [f"{OLDER}: 0 ends and 2 revocations were restored"]
        await are_refused(world, root)
        assert set(world.walk.authority.revocations.all()) == before
        # Others who ask us learn it, too, and the ledger is not told a second time.
        asked = await world.post("/oauth/introspect", "orchestrator", {"token": root})
        assert asked.json()["active"] is False
        assert world.walk.live.tokens.has_ended(read_hop(root).jti)
        assert len(world.entries(Tag.REVOKED)) == 2
    async with token_world(tmp_path, port=port) as world:
        assert said(caplog) == []
        await are_refused(world, root)


async def test_a_token_is_put_back_into_the_lists_of_the_service_that_issued_it_and_into_no_other(
    tmp_path: Path,
) -> None:
    place = tmp_path / "house"
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
        jti = read_hop(await world.root()).jti
        kept = world.walk.live.tokens.find(jti)
    taken_away(place)
    # Meanwhile nobody else is given the port.
    with socket.create_server(("127.0.0.1", port)):
        async with token_world(tmp_path) as world:
            assert world.walk.live.tokens.find(jti) is None
    async with token_world(tmp_path, port=port) as world:
        assert world.walk.live.tokens.find(jti) == kept


async def test_a_revoked_person_is_known_by_name_where_the_registers_are_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "house"
    async with token_world(tmp_path) as world:
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("owner", "alice"),
            by="operator",
            reason="left",
        )
        before = set(world.walk.authority.revocations.all())
    taken_away(place)
    said(caplog)
    async with token_world(tmp_path) as world:
        assert said(caplog) == [f"{OLDER}: 0 ends and 1 revocations were restored"]
        assert set(world.walk.authority.revocations.all()) == before
        with pytest.raises(Exception, match="has been revoked") as refused:
            await world.mandate()
        assert getattr(refused.value, "code", "") == "revoked.owner"


async def test_a_revoked_person_whose_name_cannot_be_opened_is_told_of_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, copy = tmp_path / "house", tmp_path / "copy"
    keys = place / "subject-keys.db"
    async with token_world(tmp_path):
        pass
    copied(place, copy)
    shutil.copy(keys, copy)
    async with token_world(tmp_path) as world:
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("owner", "somebody"),
            by="operator",
        )
        [entry] = world.entries(Tag.REVOKED)
    taken_away(place)
    for one in place.glob("subject-keys.db*"):
        one.unlink()
    copied(copy, place)
    shutil.copy(copy / keys.name, place)
    said(caplog)
    async with token_world(tmp_path):
        [warning] = said(caplog)
        assert warning.startswith("people were revoked or held whose names cannot be opened")
        assert warning.endswith(f": 1 entries of the ledger, the first of them {entry['index']}")


async def listed(world: TokenWorld, token: str) -> bool:
    """What somebody who goes by the status list alone says of it."""
    uri, index = reference_of(read_hop(token).raw.claims["status"])
    answer = await world.get(uri.removeprefix(world.url))
    assert answer.status_code == 200
    keys = [public_key({name: one[name] for name in one if name not in ("kid", "use")})
            for one in (await world.get("/oauth/jwks")).json()["keys"]]  # fmt: skip
    return (
        verified_status_list(answer.text, uri=uri, keys=keys, now=world.now()).statuses.status(index) == VALID
    )


async def issued(world: TokenWorld) -> tuple[str, str, str]:
    """A root; below it a token for a consent; and one below what its holder signed."""
    root = await world.root()
    consent = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
    answer = await world.exchange("researcher", root, consent=consent)
    online = answer.json()["access_token"]
    signed = world.handed((root, online), "researcher", "writer", narrow(("crm.read",), online))
    answer = await world.exchange("writer", signed, delegation=f"{root}~{online}")
    assert answer.status_code == 200, answer.text
    return root, online, answer.json()["access_token"]


@pytest.mark.requirement("REVOKE-19")
async def test_over_an_older_copy_the_status_list_knows_tokens_that_were_issued_and_revoked_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place, copy = tmp_path / "house", tmp_path / "copy"
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
    copied(place, copy)
    async with token_world(tmp_path, port=port) as world:
        tokens = await issued(world)
        others = await issued(world)
        before = [world.walk.live.tokens.find(read_hop(one).jti) for one in (*tokens, *others)]
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("token", read_hop(tokens[1]).jti),
            by="operator",
        )
        assert [await listed(world, one) for one in tokens] == [True, False, False]
    taken_away(place)
    copied(copy, place)
    caplog.clear()
    async with token_world(tmp_path, port=port) as world:
        assert (
            "6 issued tokens that were missing in the registers were restored to status lists" in caplog.text
        )
        assert [await listed(world, one) for one in tokens] == [True, False, False]
        assert [await listed(world, one) for one in others] == [True, True, True]
        # As they were: with what they derive from, and with the names of what is in no register.
        assert [world.walk.live.tokens.find(read_hop(one).jti) for one in (*tokens, *others)] == before
        theirs = {one.place for one in before if one is not None}
        assert theirs.isdisjoint(world.walk.live.tokens.take_places(3000))
        consent = read_hop(others[1]).raw.claims["answerable_consent"]
        assert isinstance(consent, dict)
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("hop", str(consent["hash"])),
            by="operator",
        )
        assert [await listed(world, one) for one in others] == [True, False, False]
    caplog.clear()
    async with token_world(tmp_path, port=port):
        assert "restored to status lists" not in caplog.text


@pytest.mark.requirement("REVOKE-19")
async def test_where_the_registers_are_lost_mandates_are_known_again_and_only_tokens_of_open_ones_are_valid(
    tmp_path: Path,
) -> None:
    async with token_world(tmp_path) as world:
        port = int(world.url.rpartition(":")[2])
        await world.mandate()
        tokens = await issued(world)
        await world.mandate(identity="m-2")
        closed = await world.root("m-2")
        await close_mandate(
            world.walk.recorder, world.walk.authority, world.walk.live, MandateId("m-2"), by="operator"
        )
        assert [await listed(world, one) for one in (*tokens, closed)] == [True, True, True, False]
    taken_away(tmp_path / "house")
    async with token_world(tmp_path, port=port) as world:
        assert [await listed(world, one) for one in (*tokens, closed)] == [True, True, True, False]


@pytest.mark.requirement("REVOKE-19")
async def test_a_token_is_put_back_below_its_giver_though_the_givers_entry_is_in_another_log(
    tmp_path: Path,
) -> None:
    async with token_world(tmp_path) as world:
        await world.mandate()
        root, online, _ = await issued(world)
        walk, register = world.walk, fresh(SqliteTokenRegister, entropy=SeededEntropy("tokens"))
        elsewhere, here = (
            RecalledTokens(
                walk.recorder.subject_keys,
                walk.authority,
                replace(walk.live, tokens=register),
                walk.verification,
            )
            for _ in range(2)
        )
        await until(
            lambda: [one.get("form") for one in world.entries(Tag.CITED)].count("online") == 3, seconds=30
        )
        for stored in walk.recorder.ledger.replay():
            if stored.tag == Tag.CITED:
                (elsewhere if leaf_of(stored).get("hop") == read_hop(root).jti else here).note(stored)
        assert (await elsewhere.restored(), await here.restored()) == (1, 2)
        for one in (root, online):
            assert register.find(read_hop(one).jti) == walk.live.tokens.find(read_hop(one).jti)
