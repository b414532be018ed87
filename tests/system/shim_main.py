"""Starts the shim as its command does, with a sample agent's key. Takes SERVER GATEWAY AGENT MANDATE."""

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from answerable.apps.mcp_shim.relay import run_shim
from answerable.sdk.proof_auth import SessionAuth
from answerable.testing.samples import signing_key


async def main() -> None:
    server, gateway, agent, mandate = sys.argv[1:]
    await run_shim(
        server=server,
        gateway=gateway,
        auth=SessionAuth(signing_key(agent), mandate=mandate),
        stdin=sys.stdin.buffer,
        stdout=sys.stdout.buffer,
    )


anyio.run(main)
