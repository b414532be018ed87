"""Two processes on one data directory, each with a log of its own, and the log of logs that one of them keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from answerable.adapters.tlog_files import PublishedFiles
from answerable.core.tlog.merkle import leaf_hash
from answerable.core.tlog.policy import parse_policy
from answerable.flows.workloads.prove_to_peer import prove_to_peer
from tests.worlds.shard_house import House, leaves, made_house, until


@pytest.fixture
def house() -> Iterator[House]:
    with made_house() as made:
        yield made


def intents(house: House, shard: str) -> dict[str, Any] | None:
    """What a search finds there, once it has all three actions."""
    found: dict[str, Any] = json.loads(house.command(shard, "search", "kind:intent", "--json").stdout)
    return found if len(found["items"]) == 3 else None


def asked_of_b(house: House, index: str) -> None:
    """A decision of b is replayed and explained by a command with the settings of a, or of none."""
    for named, entry in (("a", f"b/{index}"), ("", f"#b/{index}")):
        replayed = json.loads(house.command(named, "decision", "replay", entry, "--json").stdout)
        assert [(one["index"], one["verdict"]) for one in replayed["decisions"]] == [(int(index), "same")]
        assert f"entry {index}: allowed" in house.command(named, "why", entry).stdout


@pytest.mark.requirement("SHARD-01", "SHARD-02", "SHARD-05", "SHARD-06", "SEARCH-14")
def test_two_shards_act_beside_one_another_and_are_verified_together(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        a.says("kept here")
        b.says("kept by another process")
        mandates = {shard.name: house.issue(shard.name) for shard in (a, b)}
        for shard in (a, b, a):
            shard.acted(mandates[shard.name])
        sizes = {shard.name: shard.status()["entries"] for shard in (a, b)}
        until(
            lambda: all(house.head_sizes().get(name, 0) >= size for name, size in sizes.items()), "the heads"
        )
        states = until(lambda: b.status()["shards"], "the states in the process that only follows")
        # Of one mandate of each, and asked at either: whoever issued it, its actions are found, with their log.
        for asked in ("a", "b"):
            found = until(partial(intents, house, asked), "the process of the other to follow its log")
            assert [one["shard"] for one in found["items"]] == ["a", "b", "a"]
            assert found["elsewhere"] == {}
            assert [one["missing"] for one in found["shards"]] == [0]
        # An entry is called by its shard, and what was done under a mandate is in the log that it was issued in.
        shown = json.loads(house.command("a", "show", "b/0", "--json").stdout)
        assert [one["ask"] for one in shown["may_be"]] == ["entry:b/0"]
        tree = json.loads(house.command("a", "mandate", "tree", mandates["b"], "--json").stdout)
        assert (tree["id"], tree["actions"]["done"]) == (mandates["b"], 1)
        assert {one["state"] for one in states} == {"ok"}
        theirs = found["items"][1]["entry"]
        asked_of_b(house, theirs)
        policy = house.command("a", "witness", "policy").stdout
    asked_of_b(house, theirs)
    copy = house.copied()
    (house.world.root / "policy").write_text(policy)
    under = ("--policy", str(house.world.root / "policy"))
    found = house.verified(copy, *under)
    assert (found["errors"], found["findings"]) == (0, [])
    assert set(found["logs"]) == {"heads", "shards/a", "shards/b"}
    for log in found["logs"].values():
        assert log["errors"] == 0, log["findings"]
        assert log["key_given"]
        assert log["witnessed"] > 0
    # One entry of b is proved to who knows the log of logs alone.
    log, heads = PublishedFiles(copy / "shards/b"), PublishedFiles(copy / "heads")
    [entry] = log.leaves(2, 3)
    proof = prove_to_peer(2, shard=log, heads=heads)
    origin = found["logs"]["heads"]["origin"]
    _, cosigners = proof.verify_under(parse_policy(policy.encode()), leaf=leaf_hash(entry), origin=origin)
    assert len(cosigners) == 1
    # A byte of one shard, and verification says which.
    [segment] = (copy / "shards/b/wal").glob("*.wal")
    content = bytearray(segment.read_bytes())
    content[300] ^= 1
    segment.write_bytes(content)
    damaged = house.verified(copy, *under, code=5)
    assert {place for place, log in damaged["logs"].items() if log["errors"]} == {"shards/b"}
    shutil.rmtree(copy / "shards/b")
    assert [one["rule"] for one in house.verified(copy, *under, code=5)["findings"]] == ["shard.missing"]


@pytest.mark.requirement("SHARD-02")
def test_when_the_keeper_is_killed_another_goes_on(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        mandate = house.issue("b")
        a.killed()
        b.acted(mandate)
        until(lambda: house.head_sizes().get("b", 0) >= b.status()["entries"], "heads by the next keeper")
        until(lambda: [one["state"] for one in b.status()["witnesses"]] == ["ok"], "its witness")
        with house.up("a") as again:
            again.says("kept by another process")
            again.acted(house.issue("a"))
            until(
                lambda: house.head_sizes().get("a", 0) >= again.status()["entries"], "heads of who came back"
            )
    found = house.verified(house.copied())
    assert not any(log["errors"] for log in found["logs"].values()), found
    assert found["errors"] == 0
    heads = [leaf["tag"] for leaf in leaves(PublishedFiles(house.data / "ledger/heads"))]
    assert 13 in heads, "that it was not closed in order is recorded"
    assert 20 not in heads


@pytest.mark.slow
@pytest.mark.requirement("SHARD-04", "SHARD-08", "BUDGET-07")
def test_a_mandate_is_used_through_any_process_and_stopped_from_any(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a, house.up("b") as b:
        mandate = house.issue("a")
        a.acted(mandate)
        until(lambda: "not known" not in str(b.call(mandate)), "b to know of it")
        meta = b.call(mandate)["result"]["_meta"]
        assert meta["answerable/log"].endswith("/a")
        told = {
            name: json.loads(house.command(name, "mandate", "show", mandate, "--json").stdout)
            for name in "ab"
        }
        assert told["a"]["counted_in"] == ""
        assert told["b"]["counted_in"].endswith("/a")
        assert "?/" in house.command("b", "mandate", "list").stdout, "b counts no use of it, and says so"
        here = leaves(PublishedFiles(house.data / "ledger/shards/b"))
        assert not [leaf for leaf in here if leaf["tag"] == 2]
        house.command("b", "mandate", "close", mandate, "--yes")
        until(lambda: "closed" in a.no(mandate), "a to hear of it")
        assert "closed" in b.no(mandate)
        # What one of them applies decides in both.
        policies = house.world.registry / "registry.yaml"
        text = policies.read_text().replace(
            "permit(principal, action, resource);", "forbid(principal, action, resource);"
        )
        policies.write_text(text)
        other = house.issue("a")
        a.acted(other)
        house.command("b", "apply", "-f", str(house.world.registry))
        until(lambda: a.call(other)["result"]["isError"], "the other policies")
    found = house.verified(house.copied())
    assert (found["errors"], found["logs"]["shards/b"]["errors"]) == (0, 0)
    assert "references_elsewhere" not in json.dumps(found["logs"]["shards/b"]["caveats"])
    closed = [leaf for leaf in leaves(PublishedFiles(house.data / "ledger/shards/b")) if leaf["tag"] == 10]
    assert closed[0]["mandate_ref"]["log"].endswith("/a")


@pytest.mark.requirement("SHARD-01", "SHARD-07")
def test_who_cannot_run_beside_says_why(house: House) -> None:
    house.settings("other", ledger='shard = "a"', gateway='socket = "o.sock"\n[control]\nsocket = "p.sock"')
    house.settings("fixed", ledger='shard = "c"', gateway='socket = "gateway-a.sock"')
    (house.data / "answerable.toml").write_text("[gateway]\nport = 0\n")
    with house.up("", "--shard", "a"):
        assert "another server answers on the socket `control-a.sock`" in house.refused("a")
        assert "is open in another process, number" in house.refused("other")
        assert "another server answers on the socket" in house.refused("fixed")
    told = house.refused("")
    assert "is kept in shards (a)" in told
    assert "is kept in shards (a)" in house.command("", "status", code=1).stderr
    for name in ("heads", "../a", "A"):
        assert "is not the name of a shard" in house.refused("", "--shard", name)


@pytest.mark.requirement("SHARD-07")
def test_without_a_shard_the_ledger_is_one_log(house: House) -> None:
    house.command("", "apply", "-f", str(house.world.registry))
    assert not (house.data / "ledger/shards").exists()
    assert not (house.data / "ledger/heads").exists()
    assert {path.name for path in (house.data / "keys").iterdir()} == {
        "identity",
        "identity.lock",
        "log.jwk",
        "subjects.key",
        "tokens",
        "warrants.jwk",
    }
    assert "is a single log" in house.refused("a")
    assert house.verified(house.copied())["origin"].startswith("answerable-log-")


@pytest.mark.slow
@pytest.mark.requirement("SHARD-03")
def test_a_shard_that_was_rolled_back_does_not_start_and_is_in_alarm(house: House) -> None:
    house.command("a", "apply", "-f", str(house.world.registry))
    place = house.data / "ledger/shards/b"
    with house.up("a") as a:
        with house.up("b"):
            until(lambda: house.head_sizes().get("b"), "the first head")
        shutil.copytree(place, house.world.root / "older")
        with house.up("b") as b:
            b.acted(house.issue("b"))
            size = b.status()["entries"]
            until(lambda: house.head_sizes()["b"] >= size, "a later head")
        shutil.rmtree(place)
        (house.world.root / "older").rename(place)
        assert "it was rolled back" in house.refused("b")
        alarm = until(lambda: [one for one in a.status()["shards"] if one["state"] == "alarm"], "the alarm")
        assert "rolled back" in alarm[0]["reason"]
        assert "ALARM" in house.command("a", "status").stdout
        assert "fault" in house.command("a", "doctor", code=5).stdout
    found = house.verified(house.copied(), code=5)
    assert {place for place, log in found["logs"].items() if log["errors"]} == {"shards/b"}
    assert "shard.gap" in [one["rule"] for one in found["findings"]]


@pytest.mark.slow
@pytest.mark.requirement("SHARD-02")
def test_shards_are_cosigned_themselves_where_that_is_set(house: House) -> None:
    for shard in ("a", "b"):
        house.settings(shard, ledger=f'shard = "{shard}"', witnesses="shards = true")
    with house.up("a") as a, house.up("b"):
        for place in ("heads", "shards/a", "shards/b"):
            until((house.data / f"ledger/{place}/cosigned").exists, f"cosignatures in {place}")
        assert {one["state"] for one in a.status()["witnesses"]} <= {"ok", "waiting"}


@pytest.mark.slow
@pytest.mark.requirement("SHARD-03")
def test_a_whole_set_that_was_rolled_back_is_known_to_the_witness(house: House) -> None:
    with house.up("a"), house.up("b"):
        until(lambda: len(house.head_sizes()) == 2, "the first heads")
    shutil.copytree(house.data / "ledger", house.world.root / "older")
    house.command("a", "apply", "-f", str(house.world.registry))
    with house.up("a") as a:
        size = a.status()["entries"]
        until(lambda: house.head_sizes()["a"] >= size, "a later head")
        until(house.is_cosigned, "its cosignature")
    shutil.rmtree(house.data / "ledger")
    (house.world.root / "older").rename(house.data / "ledger")
    for shard in ("a", "b"):
        told = house.refused(shard)
        assert "rolled back" in told or "was cut or replaced" in told
