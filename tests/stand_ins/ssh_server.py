"""Real OpenSSH servers for tests: ports, folders and host keys of their own, run as whoever runs the test."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from answerable.adapters.system import SystemClock, SystemEntropy
from answerable.core.lease.credential import Credential
from answerable.ports.clock import Clock
from answerable.targets.kind import BuiltTarget, TargetContext
from answerable.wiring.target_kinds import kind_named
from tests.probes.loud_skips import skip_loudly
from tests.stand_ins.ports import free_port

LOGIN = pwd.getpwuid(os.getuid()).pw_name
START_SECONDS = 10.0
PAGE = Path(__file__).parents[2] / "docs/reference/adapters/ssh.md"
PRIVILEGE_FOLDER = Path("/run/sshd")
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile none
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin forced-commands-only
StrictModes no
UsePAM no
PermitUserRC yes
X11Forwarding no
AcceptEnv *
Subsystem sftp internal-sftp
LogLevel INFO
MaxStartups 200
"""


def program(name: str) -> str:
    """Where it is; skips loudly where it is not."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if found is None:
        skip_loudly(f"`{name}` of OpenSSH", "apt-get install openssh-server openssh-client", name="sshd")
    return found


@dataclass
class SSHHost:
    """One server. lists: the folder in which it keeps what was revoked, if it does."""

    name: str
    folder: Path
    authority: str
    lists: Path | None = None
    port: int = field(default_factory=free_port)
    _server: subprocess.Popen[bytes] | None = None

    def set_up(self) -> None:
        """What somebody does once on a host, as docs/reference/adapters/ssh.md says."""
        self.folder.mkdir()
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host_key"))
        values = {
            "NAME": self.name,
            "LOGIN": LOGIN,
            "REVOKER": LOGIN,
            "FOLDER": str(self.lists or self.folder / "unused"),
            "TRUST": str(self.folder / "trust"),
            "AUTHORITY": self.authority,
        }
        commands = PAGE.read_text(encoding="utf-8").partition("```sh\n")[2].partition("```")[0]
        for name, value in values.items():
            commands, count = re.subn(rf"(?m)^{name}=.*$", f"{name}='{value}'", commands)
            assert count == 1, name
        subprocess.run(["/bin/sh", "-eu", "-c", commands], check=True, stdin=subprocess.DEVNULL)
        config = CONFIG.format(port=self.port, folder=self.folder)
        trusted = (self.folder / "trust/sshd_config").read_text()
        config += trusted if self.lists else trusted.partition("RevokedKeys")[0]
        path = self.folder / "sshd_config"
        # Since 9.8 a server shuts out, for a while, an address whose certificates it refused: here that is the point.
        path.write_text(f"{config}PerSourcePenalties no\n")
        known = subprocess.run([program("sshd"), "-t", "-f", str(path)], capture_output=True, check=False)
        if known.returncode:
            path.write_text(config)

    def start(self) -> None:
        """Serve, and wait until it listens."""
        self._server = subprocess.Popen(
            [program("sshd"), "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
        )
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            assert self._server.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"sshd does not listen: {self.log.read_text()}")

    def stop(self) -> None:
        """Stop listening; what is connected goes on."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(timeout=10)
            self._server = None

    @property
    def log(self) -> Path:
        return self.folder / "sshd.log"

    @property
    def pinned(self) -> str:
        """Its line in known_hosts."""
        words = (self.folder / "host_key.pub").read_text().split()
        return f"{self.name} {words[0]} {words[1]}\n"


def run(name: str, *arguments: str) -> None:
    subprocess.run([program(name), *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True)


class SSHWorld:
    """Two hosts that trust one authority, and the OpenSSH client used directly, without any of our code."""

    def __init__(self, folder: Path, authority: str, *, keeps_list: bool = True) -> None:
        for name in ("sshd", "ssh", "ssh-keygen"):
            program(name)
        self.folder = folder
        folder.chmod(0o755)
        # Where hosts are one machine, they have one such folder.
        self.lists = folder / "answerable" if keeps_list else None
        self.hosts = [
            SSHHost(name=name, folder=folder / name, authority=authority, lists=self.lists)
            for name in ("web1", "web2")
        ]

    def start(self) -> None:
        if os.geteuid() == 0:
            # It stays: servers of other test files, which run meanwhile, reset every connection without it.
            PRIVILEGE_FOLDER.mkdir(mode=0o755, exist_ok=True)
        self.forget_revoked()
        for host in self.hosts:
            host.set_up()
            host.start()
        self.known_hosts.write_text("".join(host.pinned for host in self.hosts))

    def forget_revoked(self) -> None:
        """Lists as a host has them at first."""
        if self.lists is not None:
            shutil.rmtree(self.lists, ignore_errors=True)
            self.lists.mkdir()
            (self.lists / "names").touch()
            run("ssh-keygen", "-q", "-k", "-f", str(self.lists / "revoked_keys"))

    def stop(self) -> None:
        for host in self.hosts:
            host.stop()

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def settings(self) -> tuple[str, ...]:
        return tuple(f"{host.name}=127.0.0.1:{host.port}" for host in self.hosts)

    def client(
        self,
        credential: Credential,
        *more: str,
        host: int = 0,
        login: str = LOGIN,
        command: tuple[str, ...] = (),
    ) -> list[str]:
        """A command line of the real client, with the credential in files as a thief would have it."""
        certificate = credential.secret.reveal("certificate")
        folder = self.folder / "stolen" / sha256(certificate.encode()).hexdigest()[:16]
        if not folder.exists():
            folder.mkdir(parents=True)
            key = folder / "key"
            key.touch(mode=0o600)
            key.write_text(credential.secret.reveal("private_key"))
            (folder / "key-cert.pub").write_text(f"{certificate}\n")
        at = self.hosts[host]
        options = (
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            f"IdentityFile={folder / 'key'}",
            f"CertificateFile={folder / 'key-cert.pub'}",
            f"UserKnownHostsFile={self.known_hosts}",
            f"HostKeyAlias={at.name}",
            "IdentityAgent=none",
        )
        words = [word for option in options for word in ("-o", option)]
        where = ["-p", str(at.port), "-l", login]
        return [program("ssh"), "-F", "none", *words, *where, *more, "127.0.0.1", *command]

    def says(self, command: list[str], *, seconds: float = 10.0) -> tuple[int, str]:
        """Exit status and output of a client that is asked for the first line alone, and then let go."""
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            line = client.stdout.readline()
            if line:
                client.kill()
            return client.wait(timeout=seconds), line


def script(folder: Path) -> Path:
    """A program that says what it was given and then, for as long as it lives, that it lives, and when."""
    path = folder / "tick"
    path.write_text(
        f"#!{sys.executable}\n"
        "import sys, time\n"
        "print('ran', sys.argv[1:], flush=True)\n"
        "for _ in range(400 if sys.argv[1:2] == ['long'] else 0):\n"
        "    time.sleep(0.05); print('tick', time.time(), flush=True)\n"
    )
    path.chmod(0o755)
    return path


def authority_key() -> bytes:
    """A new key of a user authority, as OpenSSH keeps it."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def built(
    world: SSHWorld, key: bytes, *, revocable: bool, clock: Clock | None = None, **more: object
) -> BuiltTarget:
    """The target as the broker would build it."""
    kind = kind_named("ssh")
    given: dict[str, object] = {
        "hosts": world.settings(),
        "known_hosts": str(world.known_hosts),
        "ca_key": "file:ca",
        "source_addresses": ("127.0.0.1/32",),
        "revocation_login": LOGIN if revocable else "",
        "revocation_folder": str(world.lists or "/nowhere"),
        "socket_folder": str(world.folder),
    }
    settings = kind.settings(**given | more)
    assert kind.faults(settings) == ()
    target_context = TargetContext(
        clock=clock or SystemClock(), entropy=SystemEntropy(), secret_of=lambda _: key
    )
    return kind.build(settings, target_context)
