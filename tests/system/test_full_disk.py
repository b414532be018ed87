"""A real `up` on a disk that is really full: nothing begins, what is ended is ended, and stays so."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.ledger.tags import Tag
from tests.probes.full_disk import fill, make_room, small_disk
from tests.system.test_approval_faults import ASK, PERMIT, asked
from tests.worlds.control import made_world
from tests.worlds.shard_house import House, Shard, environment, leaves, until


@pytest.fixture
def house() -> Iterator[House]:
    with TemporaryDirectory(prefix="full-") as folder, small_disk(Path(folder) / "disk") as disk:
        made = House(made_world(disk))
        made.without_witness()
        made.command("a", "apply", "-f", str(made.world.registry))
        yield made


def nothing_began_after(house: House, *ends: Tag) -> None:
    """In the log as it was published when the server stopped: each of these ends stands after the last intent."""
    tags = [leaf["tag"] for leaf in leaves(PublishedFiles(house.data / "ledger/shards/a"))]
    begun = max(index for index, tag in enumerate(tags) if tag == Tag.INTENT)
    assert set(ends) <= set(tags[begun:])
    assert not set(ends) & set(tags[:begun])


def refused(shard: Shard, mandate: str, *why: str) -> None:
    """Within a moment, for one of these reasons, and from then on."""

    def is_refused() -> bool:
        said = str(shard.call(mandate))
        return any(one in said for one in why)

    until(is_refused, " or ".join(why))


def filled(house: House, shard: Shard) -> None:
    """Once the server has seen it: a mandate has few calls, which must not be used up by asking."""
    fill(house.world.root)
    until(lambda: "no action begins: " in shard.said(), "the look at the disk")


def said_of(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).split())


BAIT = """\
---
apiVersion: answerable/v1
kind: StopRule
metadata: {name: bait}
spec:
  watches: canary
  canary: {values: [honey-1]}
  ownership: {owner: ada, backupOwner: bela, approverGroup: support-leads, auditLevel: full, reviewDate: '2099-01-01'}
"""
STOP = ("stop", "support-agent", "--kind", "agent", "--no-wait")
REVOKE = ("revoke", "agent", "support-agent", "--yes")
ENDS = {
    "is held": ("stop", "--kind", "mandate", "--no-wait"),
    "has been revoked": ("revoke", "--yes", "mandate"),
    "closed": ("mandate", "close", "--yes"),
}
"""What ends a mandate, without its name, by what it is refused with from then on."""
TAGS = (Tag.HOLD_PLACED, Tag.REVOKED, Tag.MANDATE_CLOSED)


@pytest.mark.requirement("FULLDISK-01")
def test_while_the_registers_cannot_be_written_nothing_begins_and_then_it_goes_on(house: House) -> None:
    with house.up("a") as a:
        mandate = house.issue("a")
        a.acted(mandate)
        filled(house, a)
        refused(a, mandate, "no action begins while the registers cannot be written")
        entries = a.status()["entries"]
        for _ in range(3):
            assert "register.no_room" in str(a.call(mandate))
        assert a.status()["open_intents"] == 0
        make_room(house.world.root)
        a.acted(mandate)
        assert a.status()["entries"] > entries


@pytest.mark.requirement("FULLDISK-02", "FULLDISK-03")
def test_what_is_ended_on_a_full_disk_is_ended_at_once_on_record_and_for_good(house: House) -> None:
    with house.up("a") as a:
        mandates = {refusal: house.issue("a") for refusal in ENDS}
        for mandate in mandates.values():
            a.acted(mandate)
        filled(house, a)
        for refusal, mandate in mandates.items():
            refused(a, mandate, "no action begins")
            said = said_of(house.command("a", *ENDS[refusal], mandate, code=1))
            for part in (
                "in this server, at once",
                "in the ledger",
                "the registers do not have it yet",
                "answerable panic",
            ):
                assert part in said, said
        # In memory alone it holds already: the first who asks once there is room is refused for it.
        make_room(house.world.root)
        for refusal, mandate in mandates.items():
            refused(a, mandate, refusal)
        until(lambda: "the registers can be written again" in a.said(), "the look")
        a.killed()
    with house.up("a") as a:
        for refusal, mandate in mandates.items():
            refused(a, mandate, refusal)
    nothing_began_after(house, *TAGS)


@pytest.mark.parametrize("end", [STOP, REVOKE], ids=["stop", "revoke"])
@pytest.mark.requirement("FULLDISK-08")
def test_what_waits_for_people_is_denied_once_there_is_room_for_it(
    house: House, end: tuple[str, ...]
) -> None:
    registry = house.world.registry / "registry.yaml"
    registry.write_text(registry.read_text().replace(PERMIT, PERMIT + ASK))
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a:
        waiting = asked(a, house.issue("a"))
        filled(house, a)
        house.command("a", *end, code=1)
        assert waiting in house.command("a", "approval", "list", "--json").stdout
        make_room(house.world.root)
        until(
            lambda: waiting not in house.command("a", "approval", "list", "--json").stdout,
            "the end of what waited",
        )
        shown = json.loads(house.command("a", "approval", "show", waiting, "--json").stdout)
        assert shown["state"] in ("denied", "void"), shown["state"]


@pytest.mark.requirement("FULLDISK-03")
def test_a_kill_on_the_full_disk_forgets_nothing(house: House) -> None:
    with house.up("a") as a:
        mandate = house.issue("a")
        a.acted(mandate)
        filled(house, a)
        refused(a, mandate, "no action begins")
        assert "in the ledger" in said_of(house.command("a", *STOP, code=1))
        a.killed()
    make_room(house.world.root)
    with house.up("a") as a:
        refused(a, mandate, "is held")
        assert "support-agent" in house.command("a", "hold", "list").stdout
    nothing_began_after(house, Tag.HOLD_PLACED)


@pytest.mark.requirement("FULLDISK-02")
def test_the_first_stop_of_a_deployment_is_on_record_on_a_full_disk(house: House) -> None:
    """Nobody has stopped anything before, and the ledger has sealed nothing of its own."""
    with house.up("a") as a:
        filled(house, a)
        said = said_of(house.command("a", *STOP, code=1))
        assert "in the ledger, so that a restart keeps it" in said, said


@pytest.mark.requirement("FULLDISK-03")
def test_a_kill_on_the_full_disk_forgets_no_hold_of_a_stop_rule_either(house: House) -> None:
    with (house.world.registry / "registry.yaml").open("a") as registry:
        registry.write(BAIT)
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a:
        mandate = house.issue("a")
        a.acted(mandate)
        filled(house, a)
        assert "isError" in str(a.call(mandate, note="honey-1"))
        until(lambda: "stop rule bait holds" in a.said(), "the rule")
        held = house.command("a", "hold", "list", "--json").stdout
        assert "rule:bait" in held
        a.killed()
    make_room(house.world.root)
    with house.up("a") as a:
        refused(a, mandate, "is held")
        assert json.loads(house.command("a", "hold", "list", "--json").stdout) == json.loads(held)
    nothing_began_after(house, Tag.HOLD_PLACED)


@pytest.mark.requirement("FULLDISK-04")
def test_another_process_begins_nothing_either_and_has_it_once_there_is_room(house: House) -> None:
    with house.up("a") as a, house.up("b") as b:
        mandates = {refusal: house.issue("a") for refusal in ENDS}
        for mandate in mandates.values():
            a.acted(mandate)
            b.acted(mandate)
        filled(house, b)
        for refusal, mandate in mandates.items():
            house.command("a", *ENDS[refusal], mandate, code=1)
            # Of what is revoked the other process hears at once, by its link.
            refused(b, mandate, "no action begins", refusal)
        make_room(house.world.root)
        for refusal, mandate in mandates.items():
            refused(b, mandate, refusal)
            refused(a, mandate, refusal)
    nothing_began_after(house, *TAGS)


@pytest.mark.requirement("FULLDISK-14")
def test_a_start_without_room_says_on_which_disk_to_make_it_and_starts_once_there_is_some(
    house: House,
) -> None:
    disk = house.world.root
    new = disk / "new"
    new.mkdir(mode=0o700)
    # Beside whoever runs the product on this machine.
    (new / "answerable.toml").write_text("[gateway]\nport = 0\n[console]\nport = 0\n")
    fill(disk)
    for place, line in (
        (house.data, house.line("a", "up")),
        (house.data, house.line("a", "status")),
        (new, [*house.line("a")[:3], "--data", str(new), "up"]),
        (new, [*house.line("a")[:3], "--data", str(new), "apply", "-f", str(house.world.registry)]),
    ):
        done = subprocess.run(
            line, capture_output=True, text=True, env=environment(), check=False, timeout=60
        )
        said = said_of(done)
        assert done.returncode == 1, said
        assert "ree space on the disk of" in said, (line, said)
        assert str(place) in said
        assert "Traceback" not in said
    make_room(disk)
    with house.up("a") as a:
        a.acted(house.issue("a"))
