"""What a started process of ours has imported: what it serves, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WAIT_SECONDS_MAX = 90
# Beside the server, as nothing of a running one says what it has imported: a thread that tells it once it serves.
TELLING = """
import gc, json, sys, threading, time
from answerable.main import run

def tell(place):
    while not gc.get_freeze_count():
        time.sleep(0.05)
    with open(place, "w") as file:
        json.dump(sorted(sys.modules), file)
    print("told", flush=True)

threading.Thread(target=tell, args=(sys.argv.pop(1),), daemon=True).start()
run()
"""
OF_ITS_COMMAND = {
    f"answerable.apps.cli{name}"
    for name in (
        "", ".application", ".command", ".dashed_ids", ".exit_codes", ".on_demand", ".terminal", ".typed_ids",
        ".typed_values", ".version",
    )
}  # fmt: skip
"""What reads the command line of `answerable up`."""
ASKED_FOR = {
    "aiosmtplib", "answerable.adapters.message_webhook", "answerable.adapters.otlp", "answerable.adapters.prometheus",
    "answerable.adapters.smtp", "answerable.adapters.web_push", "answerable.apps.chat_door.application",
    "answerable.apps.event_streams.application", "answerable.apps.metrics", "opentelemetry.proto",
    "mcp", "mcp_types", "prometheus_client", "pydantic", "rich", "segno", "webauthn",
}  # fmt: skip
"""What a server imports when settings name it, a person asks for it, or a first server of tools is registered."""
OF_A_GATEWAY = {
    "_sqlite3", "answerable.wiring.walk", "cedarpy", "httpx2", "jinja2", "jsonschema_rs", "mcp", "mcp_types",
    "pydantic", "typer",
}  # fmt: skip
"""What a witness has no use for."""


def modules_of(tmp_path: Path, *server: str) -> set[str]:
    """What a server has imported once it answers. It ends before this returns."""
    data, place = tmp_path / "data", tmp_path / "told.json"
    data.mkdir(mode=0o700)
    (data / "answerable.toml").write_text("[gateway]\nport = 0\n[console]\nport = 0\n")
    command = [sys.executable, "-P", "-c", TELLING, str(place), "--data", str(data), *server]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, **streams) as process:
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
    return set(json.loads(place.read_text()))


@pytest.mark.requirement("HOUSE-38")
def test_a_server_has_imported_its_own_command_and_nothing_that_its_settings_do_not_name(tmp_path: Path):
    found = modules_of(tmp_path, "up")
    assert {one for one in found if one.startswith("answerable.apps.cli")} == OF_ITS_COMMAND
    assert found & ASKED_FOR == set()
    assert {"answerable.apps.mcp_gateway.front", "cedarpy", "jinja2"} <= found, "it serves"


@pytest.mark.requirement("HOUSE-37")
@pytest.mark.parametrize(
    ("server", "unneeded"),
    [
        (("broker",), {"typer", "cedarpy", "jinja2", "answerable.wiring.walk"}),
        (("witness", "serve"), OF_A_GATEWAY),
    ],
    ids=("broker", "witness"),
)
def test_a_process_beside_a_server_has_imported_no_command_line(
    tmp_path: Path, server: tuple[str, ...], unneeded: set[str]
):
    found = modules_of(tmp_path, *server, "--quiet", "--until-eof")
    read = {one for one in found if one.startswith("answerable.apps.cli")}
    assert read == {f"answerable.apps.cli{one}" for one in ("", ".exit_codes", ".terminal")}
    assert found & unneeded == set()
