"""Signing and revoking certificates of SSH, beside the bare signature and the bare sign-in.

`./dev bench leases_ssh [--json] [--leases N]`. Real sshd on loopback. No host is asked for a certificate: bare is a key
and a signature by cryptography, the library that ours uses, too. Bare revoking is one sign-in by the OpenSSH client,
which writes a list of revoked keys with ssh-keygen; ours does that and looks for what is open.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.serialization import (  # noqa: E402
    Encoding,
    NoEncryption,
    PrivateFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_private_key,
)
from lease_course import in_turns, run  # noqa: E402

from answerable.adapters.ssh_certificates import authority_of  # noqa: E402
from answerable.core.identity.names.principal import UnixMillis  # noqa: E402
from answerable.core.lease.credential import Credential, Secret  # noqa: E402
from answerable.core.lease.name import account_of, lease_name  # noqa: E402
from tests.stand_ins.ssh_server import LOGIN, SSHWorld, authority_key, built  # noqa: E402
from tests.worlds.ssh import lease  # noqa: E402

COMMAND = ("/bin/echo", "seven")
AT_ONCE = 50


def bare_credential(authority: Ed25519PrivateKey, command: str) -> Credential:
    """A certificate by hand."""
    key, now = Ed25519PrivateKey.generate(), int(time.time())
    certificate = (
        SSHCertificateBuilder()
        .type(SSHCertificateType.USER)
        .public_key(key.public_key())
        .serial(1)
        .key_id(b"ans_bare")
        .valid_principals([f"{LOGIN}@web1".encode()])
        .valid_after(now - 30)
        .valid_before(now + 600)
        .add_critical_option(b"force-command", command.encode())
        .add_critical_option(b"source-address", b"127.0.0.1/32")
        .sign(authority)
        .public_bytes()
        .decode()
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    name = lease_name(os.urandom(16))
    return Credential(
        lease=name,
        account=account_of(name),
        expires_at=UnixMillis((now + 600) * 1000),
        secret=Secret(private_key=private, certificate=certificate),
    )


async def one_after_another(world: SSHWorld, key: bytes, count: int) -> dict[str, object]:
    authority = load_ssh_private_key(key, password=None)
    assert isinstance(authority, Ed25519PrivateKey)
    assert world.lists is not None
    target = built(world, key, revocable=True)
    made: dict[int, Credential] = {}
    listing = f"echo 'id: ans_bare' | ssh-keygen -q -k -f bare -s {world.hosts[0].folder}/trust/user_ca.pub -"
    script = f"cd {world.folder} && {listing} && mv bare bare_revoked && echo revoked"
    client = world.client(bare_credential(authority, script), "-T")

    async def bare_issue(number: int) -> None:
        bare_credential(authority, script)

    async def bare_revoke(number: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *client, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        assert said == b"revoked\n", said

    async def issue(number: int) -> None:
        made[number] = await lease(target, COMMAND)

    return await in_turns(
        count,
        issue=(bare_issue, issue),
        revoke=(bare_revoke, lambda number: target.issuer.revoke(made[number].lease)),
    )


async def all_at_once(world: SSHWorld, key: bytes) -> dict[str, object]:
    """Those that come while one is under way go together."""
    target = built(world, key, revocable=True)
    made = [await lease(target, COMMAND) for _ in range(AT_ONCE)]
    started = time.perf_counter()
    await asyncio.gather(*(target.issuer.revoke(one.lease) for one in made))
    return {"certificates": AT_ONCE, "revoke_seconds": round(time.perf_counter() - started, 3)}


async def measured(count: int) -> dict[str, Any]:
    key = authority_key()
    with tempfile.TemporaryDirectory(prefix="answerable-ssh-") as folder:
        world = SSHWorld(Path(folder), authority_of(key).public_line)
        try:
            world.start()
            return {
                "one_command": await one_after_another(world, key, count),
                "at_once": await all_at_once(world, key),
            }
        finally:
            world.stop()


def main() -> None:
    run(__doc__, measured)


if __name__ == "__main__":
    main()
