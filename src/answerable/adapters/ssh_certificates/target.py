"""Perform agents' actions on hosts: one command, by the OpenSSH client, with the certificate of one lease."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)

from answerable.adapters.ssh_certificates.authority import fingerprint
from answerable.adapters.ssh_certificates.commands import command_asked, definitions
from answerable.adapters.ssh_certificates.forced_command import forced_words
from answerable.adapters.ssh_certificates.runner import heard
from answerable.core.lease.credential import Performed
from answerable.errors import Unavailable, shown
from answerable.errors.codes.leases import (
    TARGET_ARGUMENTS,
    TARGET_HOST_KEY,
    TARGET_LATE,
    TARGET_LOST,
    TARGET_UNREACHABLE,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from answerable.adapters.ssh_certificates.commands import CommandTool
    from answerable.adapters.ssh_certificates.hosts import Host
    from answerable.adapters.ssh_certificates.runner import Run, Runner
    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Credential
    from answerable.ports.brokered_target import TargetSession
    from answerable.ports.upstream import Progress

SSH_FAILED: Final = 255
_REFUSALS: Final = ("Permission denied", "Certificate invalid", "Too many authentication failures")
_STRANGERS: Final = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED")


class SSHTarget:
    """Implements ports.brokered_target.BrokeredTarget. ca: the authority's fingerprint, as in the hosts' logs."""

    def __init__(
        self, *, hosts: tuple[Host, ...], commands: tuple[CommandTool, ...], runner: Runner, ca: str
    ) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._commands = commands
        self._runner = runner
        self._ca = ca

    def tools(self) -> tuple[Mapping[str, JSONValue], ...]:
        return definitions(self._commands, tuple(self._hosts))

    @asynccontextmanager
    async def connected(self, credential: Credential) -> AsyncIterator[TargetSession]:
        """Return a session. The first call contacts the host, since a certificate is for one command."""
        yield _Session(self, credential)

    async def run(
        self, credential: Credential, tool: str, arguments: Mapping[str, JSONValue], seconds_max: float
    ) -> Performed:
        """Run one command, once."""
        identity = load_ssh_public_identity(credential.secret.reveal("certificate").encode())
        assert isinstance(identity, SSHCertificate)  # noqa: S101 - our issuer made it
        login, _, name = identity.valid_principals[0].decode().partition("@")
        allowed = forced_words(identity.critical_options[b"force-command"].decode())
        asked = command_asked(self._commands, tool, arguments)
        if arguments["host"] != name or asked != allowed or name not in self._hosts:
            raise TARGET_ARGUMENTS(
                f"the lease allows {shown(' '.join(allowed), 80)} on host {shown(name, 63)}, the "
                "call is for another command or host: make `lease.grants` match the call"
            )
        run = None
        with anyio.move_on_after(seconds_max) as limit:
            async with self._runner.running(credential, self._hosts[name], login) as (process, run):
                await heard(process, run)
        if run is None or limit.cancelled_caught:
            raise _late(run, seconds_max)
        result = _result(run)
        return Performed(result=result, session=_session(run, credential, login, identity, self._ca))


class _Session:
    """Implements ports.brokered_target.TargetSession."""

    def __init__(self, target: SSHTarget, credential: Credential) -> None:
        self._target = target
        self._credential = credential

    async def perform(
        self,
        tool: str,
        arguments: Mapping[str, JSONValue],
        *,
        tag: str,
        seconds_max: float,
        progress: Progress | None = None,
    ) -> Performed:
        """Run a command. The tag is not sent: the host's log identifies the lease by the certificate's key id."""
        return await self._target.run(self._credential, tool, arguments, seconds_max)


def _result(run: Run) -> dict[str, object]:
    """Return the host's answer. Raises Unavailable if there is none."""
    if run.has_ended:
        structured: dict[str, object] = {
            "exit_status": run.status,
            "stdout": run.stdout.text,
            "stderr": run.stderr.text,
            "stdout_cut": run.stdout.is_cut,
            "stderr_cut": run.stderr.is_cut,
        }
        ended = "ended by a signal" if run.status is None else f"exit status {run.status}"
        said = f"{ended}\n{run.stdout.text}"
        said += f"\nstandard error:\n{run.stderr.text}" if run.stderr.count else ""
        for stream, what in ((run.stdout, "standard output"), (run.stderr, "standard error")):
            if stream.is_cut:
                said += f"\n({what}: {stream.count} bytes, cut after {stream.bytes_max})"
        return _answer(said, is_error=run.status != 0) | {"structuredContent": structured}
    words = run.last_words()
    if run.is_authenticated:
        raise TARGET_LOST(
            (
                f"the connection to {shown(run.host.name)} was lost: the command may have run, and "
                f"the host ends what is running: {shown(words)}"
            ),
            effect="unknown",
        )
    if any(one in run.log.text for one in _STRANGERS):
        raise TARGET_HOST_KEY(
            f"{shown(run.host.name)} presented a host key that is not in `known_hosts`: nothing was sent"
        )
    if any(one in words for one in _REFUSALS):
        return _answer(f"the host refused the certificate of this lease: {words}", is_error=True)
    raise TARGET_UNREACHABLE(f"{shown(run.host.name)} cannot be reached: {shown(words)}")


def _answer(text: str, *, is_error: bool) -> dict[str, object]:
    return {"content": [{"type": "text", "text": text}], "isError": is_error}


def _late(run: Run | None, seconds_max: float) -> Unavailable:
    is_sent = run is not None and run.is_authenticated
    ended = "the host was told to end it, with everything in its process group" if is_sent else "nothing ran"
    return TARGET_LATE(
        f"no answer within {seconds_max:g} seconds: {ended}", effect="unknown" if is_sent else "none"
    )


def _session(
    run: Run, credential: Credential, login: str, identity: SSHCertificate, ca: str
) -> tuple[tuple[str, str], ...]:
    """Return the fields by which sshd's log line `Accepted publickey` identifies this session."""
    key = identity.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    by = (("ssh_key_id", credential.account), ("ssh_serial", str(identity.serial)), ("ssh_ca", ca))
    named = (*by, ("ssh_key", fingerprint(key)))
    where = (("ssh_host", run.host.name), ("ssh_login", login))
    return (*named, *where, *((("ssh_client_port", str(run.port)),) if run.port else ()))
