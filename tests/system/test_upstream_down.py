"""A server that cannot be started: the log says so, once, and where its own words are."""

from __future__ import annotations

import anyio
import pytest

from answerable.adapters.mcp_upstream.link import Link
from answerable.adapters.mcp_upstream.settings import UpstreamSettings
from answerable.api import registry_answers
from answerable.apps.cli.checks import _server
from answerable.core.registry.documents.documents import Server
from tests.worlds.answers import filled
from tests.worlds.gateway import until

pytestmark = pytest.mark.anyio


@pytest.mark.requirement("WORDS-11")
async def test_a_server_that_ends_at_once_is_told_once_however_often_it_is_tried(tmp_path, caplog):
    settings = UpstreamSettings(
        log_directory=tmp_path, restart_delay_seconds=0.01, restart_delay_seconds_max=0.01
    )
    program = "open('tries', 'a').write('.'); import nosuch"
    server = Server(name="crm", command="python3", args=("-c", program), cwd=str(tmp_path))
    link = Link(server, settings=settings)
    tries = tmp_path / "tries"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link.run)
        await until(lambda: tries.exists() and len(tries.read_text()) > 2, seconds=20)
        tasks.cancel_scope.cancel()
    told = [
        record.getMessage()
        for record in caplog.records
        if record.getMessage().startswith("server crm is down")
    ]
    assert len(told) == len(set(told)) == 1
    assert str(tmp_path / "crm.log") in told[0]
    assert "No module named 'nosuch'" in (tmp_path / "crm.log").read_text()


@pytest.mark.requirement("WORDS-11")
def test_doctor_finds_a_server_that_is_down():
    found = _server(
        filled(registry_answers.Server, name="crm", transport="stdio", target="python3 crm.py", state="down")
    )
    assert (found.name, found.state) == ("server crm", "fault")
    assert "`upstream-logs`" in found.advice
