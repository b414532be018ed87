"""`answerable agent up`: run the sidecar of an agent."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.apps.cli.command import Shell, command
from answerable.core.identity.names.spiffe_id import spiffe_id
from answerable.core.identity.names.spiffe_terms import ENDPOINT_SOCKET
from answerable.errors import AnswerableError
from answerable.errors.codes.services import CLI_ATTESTATION
from answerable.main.mcp_commands import GatewayAddress, MandateId, default_gateway

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from answerable.apps.sidecar.attesting import Attesting
    from answerable.sdk.enrolment import MadeOf


class SvidKind(Enum):
    """Kinds of SVIDs that a SPIFFE Workload API issues."""

    X509 = "x509"
    JWT = "jwt"


Command = Annotated[list[str], typer.Argument(help="The agent's command, after `--`.", metavar="COMMAND...")]
AgentName = Annotated[str, typer.Option("--agent", help="Registered name of the agent.", metavar="NAME")]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="Measure this project as `agent manifest write` does, repeatedly, and report differences.",
        show_default=False,
        metavar="DIR",
    ),
]


def _reference(name: str, help_text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        name, help=help_text, show_default=False, metavar="file:PATH"
    )
    return option


JoinToken = Annotated[str, _reference("--join-token", "Enrol by a join token, good once.")]
OidcToken = Annotated[
    str, _reference("--oidc-token", "Enrol by a token of an issuer that the server trusts.")
]
Certificate = Annotated[str, _reference("--certificate", "Enrol by this certificate (PEM) and its key.")]
CertificateKey = Annotated[str, _reference("--certificate-key", "Key of that certificate (PEM).")]
SshHostKey = Annotated[str, _reference("--ssh-host-key", "Enrol by this host key, with `ssh-keygen`.")]
Svid = Annotated[
    SvidKind | None,
    typer.Option(
        "--svid",
        help="Enrol by an SVID of another SPIFFE source, such as SPIRE.",
        show_default=False,
        metavar="x509|jwt",
    ),
]
SpiffeSocket = Annotated[
    str,
    typer.Option(
        "--spiffe-socket",
        help="Workload API of that source, `unix:///PATH`; else SPIFFE_ENDPOINT_SOCKET. Alone it means `--svid x509`.",
        show_default=False,
        metavar="ADDRESS",
    ),
]
SpiffeName = Annotated[
    str,
    typer.Option(
        "--spiffe-id",
        help="SPIFFE ID of the SVID, if that source has several; default: its first.",
        show_default=False,
        metavar="SPIFFE-ID",
    ),
]
ClientCertificate = Annotated[
    str,
    _reference("--client-certificate", "Enrol by this certificate (PEM), presented in TLS to the gateway."),
]
ClientKey = Annotated[str, _reference("--client-key", "Key of that certificate (PEM).")]
GatewayAuthorities = Annotated[
    str,
    _reference("--gateway-ca", "Authorities of the gateway's certificate (PEM), instead of the system's."),
]


def add_agent_up(app: typer.Typer) -> None:
    """Add `up` to the noun `agent` of the whole command line."""
    group = next(one.typer_instance for one in app.registered_groups if one.name == "agent")
    if group is not None:
        command(group, "up")(agent_up)


def agent_up(
    shell: Shell,
    run: Command,
    agent: AgentName,
    gateway: GatewayAddress = "",
    mandate: MandateId = "",
    join_token: JoinToken = "",
    oidc_token: OidcToken = "",
    certificate: Certificate = "",
    certificate_key: CertificateKey = "",
    ssh_host_key: SshHostKey = "",
    svid: Svid = None,
    spiffe_socket: SpiffeSocket = "",
    spiffe_name: SpiffeName = "",
    client_certificate: ClientCertificate = "",
    client_key: ClientKey = "",
    gateway_ca: GatewayAuthorities = "",
    project: Project = None,
) -> int | None:
    """Start an agent with an identity of its own.

    Enrols, by the kernel's word unless something else is named, starts the command, and holds its keys: the agent finds
    its handle in ANSWERABLE_GATEWAY and gets no key. Ends with the agent, with its exit code.
    """
    import anyio

    from answerable.apps.sidecar.attesting import by_the_kernel, by_tls
    from answerable.apps.sidecar.sidecar import SidecarOptions, run_sidecar

    ways = _ways(join_token, oidc_token, certificate, certificate_key, ssh_host_key)
    ways += _foreign(svid, spiffe_socket, spiffe_name)
    tls = _tls(gateway_ca, client_certificate, client_key)
    if client_certificate:
        ways.append(by_tls())
    if len(ways) > 1:
        raise CLI_ATTESTATION("give only one way to enrol")
    options = SidecarOptions(
        agent=agent,
        gateway=gateway or default_gateway(shell),
        command=tuple(run),
        attesting=ways[0] if ways else by_the_kernel(),
        tls=tls,
        mandate=mandate,
        measure=partial(_measured, project, _program(run[0])),
        say=shell.terminal.say,
    )
    return anyio.run(run_sidecar, options)


def _ways(
    join_token: str, oidc_token: str, certificate: str, certificate_key: str, ssh_host_key: str
) -> list[Attesting]:
    from answerable.apps.sidecar import attesting

    ways: list[Attesting] = []
    if join_token:
        ways.append(attesting.by_join_token(join_token))
    if oidc_token:
        ways.append(attesting.by_oidc_token(oidc_token))
    if bool(certificate) != bool(certificate_key):
        raise CLI_ATTESTATION("--certificate and --certificate-key are given together")
    if certificate:
        ways.append(attesting.by_certificate(certificate, certificate_key))
    if ssh_host_key:
        ways.append(attesting.by_ssh_host_key(ssh_host_key))
    return ways


def _foreign(kind: SvidKind | None, socket: str, name: str) -> list[Attesting]:
    """Return the attestation by foreign SVIDs, if requested: a socket in the environment alone requests nothing."""
    from answerable.apps.sidecar import attesting
    from answerable.wiring.foreign_svid import ForeignSvids

    if kind is None and not socket:
        if name:
            raise CLI_ATTESTATION("--spiffe-id needs --svid or --spiffe-socket")
        return []
    address = socket or os.environ.get(ENDPOINT_SOCKET, "")
    if not address:
        raise CLI_ATTESTATION("no Workload API is named: give --spiffe-socket, or set SPIFFE_ENDPOINT_SOCKET")
    source = ForeignSvids(address, wanted=spiffe_id(name) if name else None)
    if kind is SvidKind.JWT:
        return [attesting.by_jwt_svid(source.jwt)]
    return [attesting.by_x509_svid(source.x509)]


def _tls(authorities: str, certificate: str, key: str) -> ssl.SSLContext | None:
    from answerable.apps.sidecar.attesting import path_of
    from answerable.sdk.gateway_address import client_tls

    if bool(certificate) != bool(key):
        raise CLI_ATTESTATION("--client-certificate and --client-key are given together")
    if not authorities and not certificate:
        return None
    paths = [str(path_of(one)) if one else "" for one in (authorities, certificate, key)]
    return client_tls(authorities=paths[0], certificate=paths[1], key=paths[2])


def _program(command: str) -> Callable[[], str]:
    """Return a function that computes the digest of the program that will run; empty for a program for which the kernel
    would report another."""
    from answerable.wiring.project_manifest import ProgramFile

    file = ProgramFile(command)

    def digest() -> str:
        try:
            return file.digest()
        except AnswerableError:
            return ""

    return digest


def _measured(project: Path | None, program: Callable[[], str]) -> MadeOf:
    from answerable.sdk.enrolment import MadeOf
    from answerable.wiring.project_manifest import collected

    found = (
        MadeOf.of(collected(project, grade="sidecar").measured())
        if project
        else MadeOf(measured={}, claimed={})
    )
    digest = program()
    return replace(found, measured={**found.measured, "executable_digest": digest}) if digest else found
