"""Settings and construction of `ssh` targets: hosts that trust the broker's user certificate authority."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from answerable.adapters.ssh_certificates import (
    Limits,
    OpenClients,
    Revoking,
    Runner,
    SSHIssuer,
    SSHRights,
    SSHTarget,
    authority_of,
    checked_command_tool,
    checked_host,
    open_or_create_authority,
    source_fault,
    sweep,
)
from answerable.errors import AnswerableError
from answerable.setting_fields import number, reference, text, texts
from answerable.targets.kind import BuiltTarget, TargetKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.adapters.ssh_certificates import UserAuthority
    from answerable.targets.kind import TargetContext

HOSTS_MAX: Final = 1_000
COMMANDS_MAX: Final = 200
Checked = TypeVar("Checked")


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHSettings:
    """The hosts and their host keys, the user certificate authority, and how certificates are revoked."""

    hosts: tuple[str, ...] = texts((), "hosts, each as `NAME=ADDRESS` or `NAME=ADDRESS:PORT`")
    known_hosts: str = text(
        "", "file with the pinned host keys, or a host authority, by the names of `hosts`", unit="path"
    )
    ca_key: str = reference("private key of the user authority, Ed25519 or ECDSA, without a passphrase")
    ca_key_file: str = text(
        "", "file of that key instead, made at first use with mode 0600; one of the two is set", unit="path"
    )
    source_addresses: tuple[str, ...] = texts(
        (),
        "addresses or networks from which the broker reaches the hosts; certificates are good from there alone",
    )
    commands: tuple[str, ...] = texts(
        (), "tools beside `run`, each as `NAME=/path/to/program word {PLACE}`: a word is one argument"
    )
    revocation_login: str = text(
        "", "account on each host by which certificates are revoked; empty where they only expire"
    )
    revocation_folder: str = text(
        "/etc/ssh/answerable", "folder on each host that this account keeps `revoked_keys` in", unit="path"
    )
    ssh_program: str = text("ssh", "the OpenSSH client", unit="program")
    socket_folder: str = text(
        "", "folder for the sockets by which clients ask for signatures; empty for the system's", unit="path"
    )
    ttl_seconds_max: int = number(
        3_600, "longest life of a certificate", unit="seconds", minimum=1, maximum=86_400
    )
    clock_skew_seconds: int = number(
        30, "how far a host's clock may be behind the broker's", unit="seconds", minimum=0, maximum=300
    )
    connect_seconds: int = number(
        5, "longest wait for a host to answer", unit="seconds", minimum=1, maximum=60
    )
    revoke_seconds: int = number(
        10, "longest wait for a host to revoke", unit="seconds", minimum=1, maximum=60
    )
    output_bytes_max: int = number(
        65_536,
        "of standard output, and as many of standard error",
        unit="bytes",
        minimum=1_024,
        maximum=1_048_576,
    )


def _faults(settings: SSHSettings) -> tuple[str, ...]:
    found = [*_checked(settings.hosts, checked_host, "hosts", HOSTS_MAX)]
    found += _checked(settings.commands, checked_command_tool, "commands", COMMANDS_MAX)
    found += [fault for one in settings.source_addresses if (fault := source_fault(one))]
    if not settings.source_addresses:
        found.append("set `source_addresses`: where the broker comes from, as the hosts see it")
    if bool(settings.ca_key) == bool(settings.ca_key_file):
        found.append("set one of `ca_key` and `ca_key_file`")
    paths = {"known_hosts": settings.known_hosts}
    if settings.revocation_login:
        paths["revocation_folder"] = settings.revocation_folder
    for name, path in paths.items():
        if not path.startswith("/") or any(one in path for one in " \t\"'%$"):
            found.append(f"`{name}` is a whole path, without spaces, quotes, % and $")
    return tuple(found)


def _checked(given: tuple[str, ...], check: Callable[[str], Checked], name: str, count_max: int) -> list[str]:
    found, names = [], []
    for one in given:
        try:
            check(one)
            names.append(one.partition("=")[0])
        except AnswerableError as fault:
            found.append(fault.message)
    found += [f"`{name}` has `{one}` twice" for one, count in Counter(names).items() if count > 1]
    if name == "hosts" and not given:
        found.append("set `hosts`: there is none")
    if len(given) > count_max:
        found.append(f"`{name}` has more than {count_max}")
    return found


def _build(settings: SSHSettings, world: TargetContext) -> BuiltTarget:
    hosts = tuple(checked_host(one) for one in settings.hosts)
    limits = Limits(
        ttl_seconds_max=settings.ttl_seconds_max,
        clock_skew_seconds=settings.clock_skew_seconds,
        connect_seconds=settings.connect_seconds,
        revoke_seconds=settings.revoke_seconds,
        output_bytes_max=settings.output_bytes_max,
    )
    authority = _authority(settings, world)
    sweep(settings.socket_folder)
    clients = OpenClients()
    runner = Runner(
        program=settings.ssh_program,
        known_hosts=settings.known_hosts,
        socket_folder=settings.socket_folder,
        clients=clients,
        limits=limits,
    )
    revoking = None
    if settings.revocation_login:
        revoking = Revoking(
            clock=world.clock,
            authority=authority,
            hosts=hosts,
            source_addresses=settings.source_addresses,
            runner=runner,
            limits=limits,
            login=settings.revocation_login,
            folder=settings.revocation_folder,
        )
    issuer = SSHIssuer(
        clock=world.clock,
        authority=authority,
        hosts=hosts,
        source_addresses=settings.source_addresses,
        clients=clients,
        limits=limits,
        revoking=revoking,
    )
    commands = tuple(checked_command_tool(one) for one in settings.commands)
    target = SSHTarget(hosts=hosts, commands=commands, runner=runner, ca=authority.fingerprint)
    return BuiltTarget(issuer=issuer, target=target, rights=SSHRights())


def _authority(settings: SSHSettings, world: TargetContext) -> UserAuthority:
    if settings.ca_key_file:
        return open_or_create_authority(Path(settings.ca_key_file), token=world.entropy.token)
    return authority_of(world.secret_of(settings.ca_key))


KIND: Final = TargetKind(api=1, name="ssh", settings=SSHSettings, build=_build, faults=_faults)
