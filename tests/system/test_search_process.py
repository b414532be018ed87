"""The process that answers searches beside `answerable up`: started by the first question, restarted alone, ended with
the server."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.probes.witness_processes import Up, command, short_world, until, up
from tests.unit.apps.control_api.control_policies import RULE
from tests.worlds.control import World

pytestmark = pytest.mark.requirement("SEARCH-08")


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    with short_world() as world, up(world) as server:
        server.answers()
        command(world, "apply", "-f", str(world.registry))
        yield server


def found(world: World, *words: str) -> dict[str, Any]:
    return json.loads(command(world, "search", *words, "--json").stdout)


def doctored(world: World) -> list[dict[str, str]]:
    return json.loads(command(world, "doctor", "--json", code=5).stdout)


def processes(world: World) -> list[int]:
    """Those that answer searches over this data directory."""
    wanted = (str(world.data).encode(), b"index", b"--until-eof")
    return [
        int(one.parent.name)
        for one in Path("/proc").glob("[0-9]*/cmdline")
        if set(wanted) <= {*_content(one).split(b"\0")}
    ]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # It ended meanwhile.
        return b""


def test_the_first_question_starts_it_and_the_answer_is_up_to_the_last_entry(running: Up) -> None:
    world = running.world
    assert processes(world) == []
    status = json.loads(command(world, "status", "--json").stdout)
    assert status["search"] == {"state": "waiting", "entries": 0, "reason": ""}
    answer = found(world, "kind:registry_change", "person:uid:0", "since:1h")
    assert [one["kind"] for one in answer["items"]] == ["registry_change"]
    assert (answer["log"], answer["missing"], answer["happened"]) == (status["origin"], 0, True)
    assert answer["entries"] >= status["entries"]
    (process,) = processes(world)
    own = running.process.pid
    assert os.getpriority(os.PRIO_PROCESS, process) > os.getpriority(os.PRIO_PROCESS, own)
    assert os.getpgid(process) != os.getpgid(own)
    assert (world.data / "search.sock").stat().st_mode & 0o777 == 0o600
    assert (world.data / "index" / "ledger" / "index.db").stat().st_mode & 0o777 == 0o600
    told = command(world, "status").stdout
    assert "answered up to entry" in told


def test_pages_at_the_control_api_are_those_of_the_files(running: Up) -> None:
    world = running.world
    whole = found(world, "--limit", "1000")
    pages, cursor = [], []
    while not pages or cursor:
        page = found(world, "--limit", "2", *cursor)
        pages.append(page)
        cursor = ["--cursor", page["next"]] if page["next"] else []
    assert [one for page in pages for one in page["items"]] == whole["items"]
    copy = ("--ledger", str(world.data / "ledger"), "--keys", str(world.data))
    assert found(world, "--limit", "1000", *copy)["items"] == whole["items"]


@pytest.mark.requirement("STORY-04")
def test_stories_names_and_scope_are_answered_by_the_process_alone(running: Up) -> None:
    world = running.world
    found(world, "kind:registry_change")
    command(world, "ledger", "seal")
    copy = ("--ledger", str(world.data / "ledger"), "--keys", str(world.data))
    for verb, *asked in (("timeline", "kind:registry_change"), ("show", "person:uid:0"), ("scope",)):
        told = json.loads(command(world, verb, *asked, "--json").stdout)
        assert (told["missing"], told["happened"]) == (0, True)
        read = json.loads(command(world, verb, *asked, "--json", *copy).stdout)
        assert {**told, "entries": 0, "complete_at": ""} == {**read, "entries": 0, "complete_at": ""}


@pytest.mark.requirement("RULE-09")
def test_a_stop_rule_is_tried_by_the_process_on_every_entry(running: Up) -> None:
    world = running.world
    rule = world.root / "rule.json"
    rule.write_text(json.dumps(RULE))
    command(world, "apply", "-f", str(rule))
    tried = json.loads(command(world, "stop-rule", "simulate", "denials", "--since", "all", "--json").stdout)
    assert (tried["end"], tried["partial"], tried["firings"]) == (tried["size"], False, [])
    assert len(processes(world)) == 1


def test_a_killed_one_is_started_again_and_searches_at_once_are_all_answered(running: Up) -> None:
    world = running.world
    before = found(world, "kind:registry_change")
    (process,) = processes(world)
    os.kill(process, signal.SIGKILL)
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda _: found(world, "kind:registry_change"), range(4))]
    assert {json.dumps(one["items"]) for one in answers} == {json.dumps(before["items"])}
    assert [one for one in processes(world) if one != process]
    until(lambda: "answers searches ended with code -9" in running.said(), "the log")


@pytest.mark.requirement("SEARCH-12")
def test_one_that_is_killed_and_its_index_emptied_hides_nothing(running: Up) -> None:
    world = running.world
    before = found(world, "kind:registry_change")
    assert before["items"]
    (process,) = processes(world)
    os.kill(process, signal.SIGSTOP)
    place = world.data / "index" / "ledger"
    for end in ("-wal", "-shm"):
        (place / f"entries-00000.db{end}").unlink(missing_ok=True)
    (place / "entries-00000.db").write_bytes(b"")
    os.kill(process, signal.SIGKILL)
    until(lambda: [one for one in processes(world) if one != process], "another process")
    assert found(world, "kind:registry_change")["items"] == before["items"]
    until(
        lambda: "the search index is damaged or of another version: it is made again" in running.said(), "it"
    )


def test_a_sleeping_one_delays_nothing_but_searches(running: Up) -> None:
    world = running.world
    found(world, "kind:registry_change")
    (process,) = processes(world)
    os.kill(process, signal.SIGSTOP)
    try:
        status = json.loads(command(world, "status", "--json").stdout)
        assert status["search"]["state"] == "alarm"
        assert f"with `kill -9 {process}`, and another one is started" in status["search"]["reason"]
        (told,) = [one for one in doctored(world) if one["name"] == "search"]
        assert (told["state"], "ALARM" in told["says"]) == ("fault", True)
        command(world, "ledger", "seal")
    finally:
        os.kill(process, signal.SIGCONT)
    assert found(world, "kind:registry_change")["items"]


def test_an_index_that_is_deleted_beside_it_is_made_again(running: Up) -> None:
    world = running.world
    before = found(world, "kind:registry_change")["items"]
    shutil.rmtree(world.data / "index")
    assert found(world, "kind:registry_change")["items"] == before
    assert (world.data / "index" / "ledger" / "index.db").exists()


def test_it_ends_with_the_server_and_the_files_are_searched_without_it() -> None:
    with short_world() as world:
        with (world.data / "answerable.toml").open("a") as settings:
            settings.write("[search]\nstart_entries = 0\n")
        with up(world) as server:
            server.answers()
            command(world, "apply", "-f", str(world.registry))
            until(lambda: processes(world), "the process, which needs no question")
            status = until(
                lambda: (
                    one
                    if (one := json.loads(command(world, "status", "--json").stdout))["search"]["state"]
                    == "ok"
                    else None
                ),
                "its answer",
            )
            until(lambda: found(world)["entries"] >= status["entries"], "the index")
            whole = found(world, "kind:registry_change")["items"]
            server.process.kill()
            server.ended()
            until(lambda: not processes(world), "its end")
        with ThreadPoolExecutor(3) as pool:
            answers = [*pool.map(lambda _: found(world, "kind:registry_change"), range(3))]
        assert [one["items"] for one in answers] == [whole] * 3
