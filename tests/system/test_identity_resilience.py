"""The real server is stopped, killed, rotated and robbed of its state, with workloads of others attached to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from answerable.core.ledger.tags import Tag
from tests.interop.programs import go_workload
from tests.interop.workload_clients import PYTHON_CLIENT
from tests.probes.loud_skips import without_loudly
from tests.worlds.sidecar import beside_agent
from tests.worlds.up import (
    IDENTITY_KEYS,
    REGISTERS,
    SETTINGS,
    WAIT_SECONDS_MAX,
    Attached,
    House,
    attached,
    house,
    openssl_believes,
    registry,
    unbelieved,
    until,
)
from verifiers import GO_SPIFFE

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word about processes is Linux's"),
]
HALF_LIFE = 30
"""Of an X.509-SVID of these houses."""
INSTANCE_SECONDS = 3_600
HELPER = registry(helper=[[f"unix:uid:{os.geteuid()}"]])


@dataclass
class Scene:
    """A server, and who is attached to it."""

    house: House
    workloads: list[Attached]

    async def begun(self) -> None:
        for one in self.workloads:
            await one.next_svid(0)
            await until(partial(one.of, "jwt"), "keys for tokens")
        assert len({one.svid["id"] for one in self.workloads}) == len(self.workloads)
        await self.all_believe()

    async def all_believe(self) -> None:
        """Whatever is held by anybody is believed by everybody, as it is held right now."""
        assert await asyncio.to_thread(unbelieved, self.workloads) == []

    def counts(self) -> list[int]:
        return [len(one.serials) for one in self.workloads]

    async def renewed(self, counts: list[int], **wanted: Any) -> None:
        """Everybody gets another SVID, without being told to."""
        for one, count in zip(self.workloads, counts, strict=True):
            await one.next_svid(count, **wanted)
        await self.all_believe()

    def of_one_process_each(self) -> None:
        """No serial and no name was ever given twice, whatever happened between."""
        serials = [serial for one in self.workloads for serial in one.serials]
        assert len(serials) == len(set(serials))
        owners: dict[str, set[int]] = {}
        for one in self.workloads:
            for told in one.of("x509"):
                owners.setdefault(told["id"], set()).add(one.pid)
        assert all(len(pids) == 1 for pids in owners.values())


@contextlib.asynccontextmanager
async def scene(tmp_path: Path, settings: str = SETTINGS) -> AsyncIterator[Scene]:
    """A server with the PyPI package `spiffe` attached twice, and go-spiffe where it is installed."""
    async with house(tmp_path, settings) as made, contextlib.AsyncExitStack() as stack:
        await made.start()
        await asyncio.to_thread(made.apply, HELPER)
        commands: dict[str, tuple[str, ...]] = {"python": PYTHON_CLIENT, "python again": PYTHON_CLIENT}
        if GO_SPIFFE.is_here():
            commands["go"] = (str(await asyncio.to_thread(go_workload)),)
        else:
            without_loudly("go-spiffe", GO_SPIFFE.advice())
        found = Scene(
            made,
            [
                await stack.enter_async_context(attached(made.api, name, *command))
                for name, command in commands.items()
            ],
        )
        await found.begun()
        yield found


def gaps(workloads: Iterable[Attached]) -> list[tuple[str, float]]:
    """Who was without an SVID that is still good, and for how many seconds: from the end of each one that was held to
    the moment in which the next one came, or was good if that was later."""
    found: list[tuple[str, float]] = []
    for one in workloads:
        held = [x509.load_pem_x509_certificate(told["leaf"].encode()) for told in one.of("x509")]
        for earlier, later, came in zip(held, held[1:], one.at("x509")[1:], strict=False):
            begins = max(came, later.not_valid_before_utc.timestamp())
            if begins >= (ends := earlier.not_valid_after_utc.timestamp()):
                found.append((one.name, begins - ends))
    return found


def mixed_seconds(workloads: Iterable[Attached], counts: list[int]) -> float:
    """From the moment when the first had another SVID than the one it held at `counts` to that when all had: meanwhile
    some believe an authority that others do not know any more."""
    first_new = [one.at("x509")[count] for one, count in zip(workloads, counts, strict=True)]
    return max(first_new) - min(first_new)


def issued_and_enrolled(house: House) -> tuple[list[str], dict[str, set[str]]]:
    """Serials of X.509-SVIDs in the ledger, and the keys under which each name was enrolled."""
    issued = [one["serial"] for one in house.entries(Tag.SVID_ISSUED) if one["kind"] == "x509"]
    enrolled: dict[str, set[str]] = {}
    for one in house.entries(Tag.WORKLOAD_ENROLLED):
        enrolled.setdefault(one["instance"], set()).add(one["key"])
    return issued, enrolled


def is_written_down(house: House, workloads: list[Attached]) -> None:
    """Nobody holds what the ledger does not know, and the ledger knows nothing twice."""
    issued, enrolled = issued_and_enrolled(house)
    assert len(issued) == len(set(issued))
    assert {f"{int(serial):x}" for one in workloads for serial in one.serials} <= set(issued)
    assert {told["id"] for one in workloads for told in one.of("x509")} <= set(enrolled)
    assert all(len(keys) == 1 for keys in enrolled.values())


def sidecar(house: House) -> contextlib.AbstractAsyncContextManager[Attached]:
    """`answerable agent up` beside an agent that asks for a sub-agent with every line it is told."""
    return beside_agent(house.root / "sidecar", *house.line("agent", "up", "--agent", "helper"))


async def came_back(agent: Attached) -> dict[str, Any]:
    """Its next sub-agent, which it gets once its sidecar is known again."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while (one := await agent.asked("sub"))["status"] != 201:
            assert one["status"] == 401, one
            await asyncio.sleep(0.1)
    return one


@pytest.mark.requirement("RESIL-01", "RESIL-05", "RESIL-13", "TRUST-08", "WAPI-02")
async def test_workloads_outlive_a_stop_and_a_kill_of_the_server(tmp_path):
    # They come back at a pace of their own, go-spiffe up to half a minute late: what they hold lives longer than that.
    settings = SETTINGS.replace("x509_seconds = 60", "x509_seconds = 300")
    async with scene(tmp_path, settings) as found, sidecar(found.house) as agent:
        names = [one.svid["id"] for one in found.workloads]
        keys = found.workloads[0].of("jwt")[-1]["kids"]
        subs = [await agent.asked("sub")]
        for how in (signal.SIGTERM, signal.SIGKILL):
            before = [await one.token() for one in found.workloads]
            counts = found.counts()
            await found.house.stop(how)
            # Nobody needs the server for what is held.
            await found.all_believe()
            checks = [await one.asked("check") for one in found.workloads]
            await found.house.start()
            await found.renewed(counts)
            assert [one["fault"] for one in checks] == [""] * len(checks)
            assert [one.svid["id"] for one in found.workloads] == names
            assert [(await one.token())["text"] for one in found.workloads] != [t["text"] for t in before]
            subs.append(await agent.asked("sub"))
        assert {tuple(one.of("jwt")[-1]["kids"]) for one in found.workloads} == {tuple(keys)}
        assert [one["instance"] for one in subs] == [
            f"{agent.of('ready')[0]['instance']}/sub-{number}" for number in (1, 2, 3)
        ]
        assert gaps(found.workloads) == []
        found.of_one_process_each()
        await found.house.stop(signal.SIGTERM)
        is_written_down(found.house, found.workloads)


@pytest.mark.slow
@pytest.mark.requirement("RESIL-02", "RESIL-05", "RESIL-13", "TRUST-01", "TRUST-02")
async def test_keys_are_rotated_under_running_workloads_without_an_outage(tmp_path):
    async with scene(tmp_path) as found:
        home = found.house
        (old,) = home.authorities()
        tokens = [await one.token() for one in found.workloads]
        counts = found.counts()
        # 1. Everybody learns of the next keys before these sign; the server is killed with that half done.
        await asyncio.to_thread(home.command, "trust", "rotate", "--yes")
        await found.renewed(counts, authorities=2)
        await home.stop(signal.SIGKILL)
        counts = found.counts()
        await home.start()
        await found.renewed(counts, authorities=2)
        # 2. They sign. Who was there keeps what it has, and a newcomer and they believe one another.
        await asyncio.to_thread(home.command, "trust", "rotate", "--now", "--yes")
        states = home.authorities()
        (new,) = states.keys() - {old}
        assert (states[old], states[new]) == ("old", "active")
        counts = found.counts()
        async with attached(home.api, "newcomer", *PYTHON_CLIENT) as newcomer:
            await newcomer.next_svid(0, authorities=2)
            assert issuer(newcomer) != issuer(found.workloads[0])
            assert await asyncio.to_thread(unbelieved, [newcomer, *found.workloads]) == []
        # 3. By half of its life each has another, which the new keys signed; then the old ones can go.
        await found.renewed(counts)
        assert [(await one.asked("check"))["fault"] for one in found.workloads] == [""] * len(tokens)
        assert gaps(found.workloads) == []
        counts = found.counts()
        await asyncio.to_thread(home.command, "trust", "remove", old, "--yes")
        assert list(home.authorities()) == [new]
        await found.renewed(counts, authorities=1)
        # 4. Tokens that the old ones signed are believed by nobody any more, fresh ones by everybody.
        assert all([(await one.asked("check"))["fault"] for one in found.workloads])
        for one in found.workloads:
            await one.token()
        found.of_one_process_each()
        await home.stop(signal.SIGTERM)
        is_written_down(home, found.workloads)


@pytest.mark.requirement("RESIL-02", "RESIL-05", "TRUST-02")
async def test_after_a_mass_revocation_workloads_are_believed_again_by_themselves(tmp_path):
    async with scene(tmp_path) as found:
        home = found.house
        (old,) = home.authorities()
        for one in found.workloads:
            await one.token()
        held = [one.svid["leaf"] for one in found.workloads]
        counts = found.counts()
        await asyncio.to_thread(home.command, "trust", "remove", old, "--yes")
        await found.renewed(counts, authorities=1)
        assert old not in home.authorities()
        for one in found.workloads:
            believed = [await asyncio.to_thread(openssl_believes, leaf, one.svid["roots"]) for leaf in held]
            assert not any(believed)
        assert all([(await one.asked("check"))["fault"] for one in found.workloads])
        for one in found.workloads:
            await one.token()
        found.of_one_process_each()


@pytest.mark.requirement("RESIL-03", "RESIL-05", "RESIL-13", "TRUST-08")
async def test_lost_signing_keys_stop_the_start_until_they_are_given_up(tmp_path):
    async with scene(tmp_path) as found:
        home = found.house
        (old,) = home.authorities()
        names = [one.svid["id"] for one in found.workloads]
        await home.stop(signal.SIGKILL)
        shutil.rmtree(home.data / IDENTITY_KEYS)
        counts = found.counts()
        said = await home.refused()
        assert f"remove authority {old}" in said
        # No door has been opened, not for a moment.
        assert "gateway " not in said
        # Meanwhile the workloads do without us.
        await found.all_believe()
        await asyncio.to_thread(home.command, "trust", "remove", old, "--yes")
        await home.start()
        await found.renewed(counts, authorities=1)
        assert old not in home.authorities()
        assert [one.svid["id"] for one in found.workloads] == names
        # What was held lived until the next one was there, and for less than half a life there were two authorities.
        assert gaps(found.workloads) == []
        assert mixed_seconds(found.workloads, counts) < HALF_LIFE
        found.of_one_process_each()
        await home.stop(signal.SIGTERM)
        is_written_down(home, found.workloads)


@pytest.mark.requirement("RESIL-04", "RESIL-05", "RESIL-11", "RESIL-13", "TRUST-09")
@pytest.mark.parametrize("lost", ["registers", "everything"])
async def test_after_a_loss_of_state_everybody_gets_a_new_name_and_no_old_one_comes_back(tmp_path, lost):
    async with scene(tmp_path) as found:
        home = found.house
        (old,) = home.authorities()
        sequence = home.sequence()
        names = [one.svid["id"] for one in found.workloads]
        async with sidecar(home) as agent:
            assert (await agent.asked("sub"))["status"] == 201
            await home.stop(signal.SIGKILL)
            for place in REGISTERS if lost == "registers" else os.listdir(home.data):
                gone = home.data / place
                if gone.is_dir():
                    shutil.rmtree(gone)
                elif place != "answerable.toml":
                    gone.unlink(missing_ok=True)
            await found.all_believe()
            counts = found.counts()
            await home.start()
            assert home.authorities().keys().isdisjoint({old})
            assert home.sequence() > sequence
            if lost == "everything":
                # Nobody is anybody until the registry says so again.
                assert not any([(await one.asked("token billing"))["text"] for one in found.workloads])
                assert found.counts() == counts
                await asyncio.to_thread(home.apply, HELPER)
            await found.renewed(counts, authorities=1)
            assert {one.svid["id"] for one in found.workloads}.isdisjoint(names)
            assert gaps(found.workloads) == []
            assert mixed_seconds(found.workloads, counts) < HALF_LIFE
            # The sidecar's key is nobody's here. It comes back by itself, under another name and key.
            back = await came_back(agent)
            now, before = back["instance"].rpartition("/")[0], agent.of("ready")[0]["instance"]
            assert now != before
            answers = dict(zip(agent.at("sub"), agent.of("sub"), strict=True))
            refused = [at for at, one in answers.items() if one["status"] == 401]
            assert max(answers) - min([*refused, max(answers)]) < INSTANCE_SECONDS / 2
        found.of_one_process_each()
        await home.stop(signal.SIGTERM)
        _, enrolled = issued_and_enrolled(home)
        assert all(len(keys) == 1 for keys in enrolled.values())
        every = [key for keys in enrolled.values() for key in keys if key]
        assert len(every) == len(set(every))
        assert now in enrolled
        said = (tmp_path / "sidecar").read_text()
        assert f"no longer knows {before}:" in said
        assert f"{now} replaces {before}" in said


@pytest.mark.requirement("RESIL-06", "RESIL-05", "ENROL-06", "TRUST-02")
async def test_what_was_ended_and_withdrawn_stays_so_when_an_older_copy_is_brought_back(tmp_path):
    async with scene(tmp_path) as found, sidecar(found.house) as agent:
        home = found.house
        (old,) = home.authorities()
        barred, *others = found.workloads
        subs = [await agent.asked("sub")]
        await home.stop(signal.SIGTERM)
        copy = tmp_path / "copy"
        # A folder of keys that others may read is refused, that of a copy too.
        (copy / IDENTITY_KEYS).parent.mkdir(parents=True, mode=0o700)
        shutil.copytree(home.data / IDENTITY_KEYS, copy / IDENTITY_KEYS)
        for name in REGISTERS:
            if (home.data / name).exists():
                shutil.copy(home.data / name, copy / name)
        await home.start()
        # 1. After the copy was made: one instance is ended, a sub-agent comes, and the signing keys are withdrawn.
        subs.append(await agent.asked("sub"))
        await asyncio.to_thread(home.command, "agent", "end", barred.svid["id"], "--yes")
        await asyncio.to_thread(home.command, "trust", "remove", old, "--yes")
        (newer,) = home.authorities()
        await home.stop(signal.SIGKILL)
        # 2. The copy is put in place of what there is.
        shutil.rmtree(home.data / IDENTITY_KEYS)
        for name in REGISTERS:
            (home.data / name).unlink(missing_ok=True)
        shutil.copytree(copy, home.data, dirs_exist_ok=True)
        counts = {one.name: len(one.serials) for one in found.workloads}
        await home.start()
        # 3. The ledger knew.
        assert "older than the ledger" in home.said
        assert {old, newer}.isdisjoint(home.authorities())
        for one in others:
            await one.next_svid(counts[one.name], authorities=1)
        assert (await barred.asked("token billing"))["text"] == ""
        assert len(barred.serials) == counts[barred.name]
        subs.append(await agent.asked("sub"))
        ready = agent.of("ready")[0]["instance"]
        assert [one["instance"] for one in subs] == [f"{ready}/sub-{number}" for number in (1, 2, 3)]
        found.of_one_process_each()
        await home.stop(signal.SIGTERM)
        is_written_down(home, found.workloads)
        # 4. Nothing is left to be recalled at the next start.
        await home.start()
        assert "older than the ledger" not in home.said


def issuer(workload: Attached) -> bytes:
    """Which key signed the X.509-SVID that it holds."""
    leaf = x509.load_pem_x509_certificate(workload.svid["leaf"].encode())
    found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert found is not None
    return found
