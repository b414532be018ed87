"""A process that runs a long command on a host by a lease, to be killed. Told by its environment what to do."""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from tests.stand_ins.ssh_server import SSHWorld, built
from tests.worlds.ssh import done, lease, sleeper


async def main(key: bytes) -> None:
    world = SSHWorld(Path(os.environ["FOLDER"]), "")
    for host, port in zip(world.hosts, os.environ["PORTS"].split(), strict=True):
        host.port = int(port)
    target = built(world, key, revocable=True, socket_folder=os.environ["SOCKETS"])
    command = sleeper(os.environ["MARK"])
    await done(target, await lease(target, command), command)


if __name__ == "__main__":
    anyio.run(main, Path(os.environ["AUTHORITY"]).read_bytes())
