"""Issue short-lived OpenSSH certificates of the broker's own authority: one for each lease, for one command on one
host."""

from __future__ import annotations

from answerable.adapters.ssh_certificates.authority import (
    UserAuthority,
    authority_of,
    open_or_create_authority,
)
from answerable.adapters.ssh_certificates.clients import OpenClients
from answerable.adapters.ssh_certificates.commands import CommandTool, checked_command_tool
from answerable.adapters.ssh_certificates.hosts import Host, checked_host, source_fault
from answerable.adapters.ssh_certificates.issuer import SSHIssuer
from answerable.adapters.ssh_certificates.limits import Limits
from answerable.adapters.ssh_certificates.revoking import Revoking
from answerable.adapters.ssh_certificates.rights import SSHRights
from answerable.adapters.ssh_certificates.runner import Runner, sweep
from answerable.adapters.ssh_certificates.target import SSHTarget

__all__ = [
    "CommandTool",
    "Host",
    "Limits",
    "OpenClients",
    "Revoking",
    "Runner",
    "SSHIssuer",
    "SSHRights",
    "SSHTarget",
    "UserAuthority",
    "authority_of",
    "checked_command_tool",
    "checked_host",
    "open_or_create_authority",
    "source_fault",
    "sweep",
]
