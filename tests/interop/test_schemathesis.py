"""The control API called by Schemathesis, which others wrote, in the ways its OpenAPI document allows and forbids."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketStream

from set_up import ROOT
from tests.interop.programs import schemathesis
from tests.worlds.up import house, registry

pytestmark = pytest.mark.anyio
DOCUMENT = ROOT / "docs/reference/openapi.json"
SECONDS_MAX = 600
BROKERED = ("/v1/leases", "/v1/leases/end", "/v1/secrets/due", "/v1/strays", "/v1/targets")
"""What these say is the broker's word: 503 where none runs, as here."""
CONFIGURATION = """\
[parameters]
"path.name" = ["desk", "ada", "support"]
""" + "".join(
    f"""
[[operations]]
include-path = "{path}"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
    for path in BROKERED
)
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "negative_data_rejection,unsupported_method"
)


@asynccontextmanager
async def on_tcp(socket: Path) -> AsyncIterator[str]:
    """The address under which the socket is reached meanwhile: Schemathesis speaks TCP only, the product does not."""

    async def handed_on(client: SocketStream) -> None:
        async with client, await anyio.connect_unix(socket) as server, anyio.create_task_group() as both:
            both.start_soon(_pumped, client, server)
            both.start_soon(_pumped, server, client)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handed_on)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not of Django
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def _pumped(source: ByteReceiveStream, target: ByteSendStream) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for piece in source:
            await target.send(piece)
    await target.aclose()


def called(address: str, home: Path) -> subprocess.CompletedProcess[str]:
    (home / "schemathesis.toml").write_text(CONFIGURATION)
    line = [
        str(schemathesis()), "run", str(DOCUMENT), "--url", address, "--checks", CHECKS, "--phases",
        "examples,coverage,fuzzing", "--max-examples", "8", "--seed", "20261128", "--no-shrink",
        "--continue-on-failure", "--report", "json", "--report-json-path", str(home / "report.json"),
    ]  # fmt: skip
    return subprocess.run(
        line, cwd=home, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip


@pytest.mark.requirement("ASKING-05")
async def test_the_control_api_keeps_to_its_document_whatever_it_is_called_with(tmp_path):
    schemathesis()
    async with house(tmp_path) as made:
        await made.start()
        made.apply(registry(desk=[["unix:uid:0"]]))
        async with on_tcp(made.data / "control.sock") as address:
            done = await to_thread.run_sync(called, address, tmp_path)
        print(done.stdout[-60000:], done.stderr[-3000:])
        assert made.process is not None
        assert made.process.poll() is None, made.said
    assert done.returncode == 0
