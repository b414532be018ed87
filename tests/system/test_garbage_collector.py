"""Servers of ours collect what is new, and never again all that they were started with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.adapters.uvicorn_front.loop import NEW_OBJECTS_MAX

WAIT_SECONDS_MAX = 90
# Beside the server, as nothing of a running one says how it collects: a thread that tells it once it does so.
TELLING = """
import gc, json, sys, threading, time
from answerable.main import run

def tell(place):
    while not gc.get_freeze_count():
        time.sleep(0.05)
    while gc.get_threshold()[0] == 700:
        time.sleep(0.05)
    with open(place, "w") as file:
        json.dump([gc.get_freeze_count(), *gc.get_threshold()], file)
    print("told", flush=True)

threading.Thread(target=tell, args=(sys.argv.pop(1),), daemon=True).start()
run()
"""


@pytest.mark.requirement("HOUSE-34")
@pytest.mark.parametrize("server", [("up",), ("broker",), ("witness", "serve")])
def test_a_started_server_goes_through_what_it_was_started_with_no_more(
    tmp_path: Path, server: tuple[str, ...]
):
    data, place = tmp_path / "data", tmp_path / "told.json"
    data.mkdir(mode=0o700)
    (data / "answerable.toml").write_text("[gateway]\nport = 0\n[console]\nport = 0\n")
    command = [sys.executable, "-c", TELLING, str(place), "--data", str(data), *server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line == "told\n":
                    break
            assert place.exists(), said
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS_MAX)
    frozen, new, *_ = json.loads(place.read_text())
    assert frozen > 10_000
    assert new == NEW_OBJECTS_MAX
