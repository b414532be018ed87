"""What the command line says to somebody who begins: where a fault is, and which setting to change."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from tests.worlds.up import SETTINGS, House

POLICIES = """\
apiVersion: answerable/v1
kind: PolicySet
metadata: {name: first}
spec:
  policies: |
    @id("nothing-by-default")
    forbid(principal, action, resource) when { false };
---
apiVersion: answerable/v1
kind: PolicySet
metadata: {name: second}
spec:
  policies: |
    // who wrote this?

    permit(principal, action, resource);
"""


@pytest.mark.requirement("WORDS-05")
def test_a_policy_without_an_id_is_told_with_its_file_document_and_line(tmp_path):
    home = House(tmp_path)
    file = home.root / "policies.yaml"
    file.write_text(POLICIES)
    said = home.command("apply", "-f", str(file), code=1)
    assert "of PolicySet `second` has no `@id`" in said
    assert f"PolicySet `second` is in {file}" in said
    assert "`first`" not in said


@pytest.mark.requirement("WORDS-06")
def test_a_taken_port_is_told_with_the_setting_to_change(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        home = House(tmp_path, SETTINGS.replace("port = 0", f"port = {port}"))
        said = home.command("up", code=1)
    assert f"cannot listen on `127.0.0.1` port {port}" in said
    assert "set `gateway.port` in `answerable.toml` to another port" in said


@pytest.mark.anyio
@pytest.mark.requirement("WORDS-06")
async def test_wrap_writes_the_same_address_before_a_server_runs_and_after(tmp_path):
    home = House(tmp_path)
    addresses = []
    for number in range(2):
        file = home.root / f"mcp-{number}.json"
        file.write_text('{"mcpServers": {"db": {"command": "db"}}}')
        home.command("mcp", "wrap", str(file), "--key", "agent.jwk")
        args = json.loads(file.read_text())["mcpServers"]["db"]["args"]
        addresses.append(args[args.index("--gateway") + 1])
        if not number:
            await home.start()
    await home.stop(signal.SIGTERM)
    assert addresses == [f"unix:{home.data / 'gateway.sock'}"] * 2
