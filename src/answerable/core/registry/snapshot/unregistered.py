"""Decide whether a discovered asset is registered by now; if so it leaves the inventory, in force or not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from answerable.core.registry.documents.documents import Agent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.workload.evidence import Evidence
    from answerable.core.registry.documents.documents import Server
    from answerable.core.registry.snapshot.discovered_asset import Sighting
    from answerable.core.registry.snapshot.snapshot import RegistrySnapshot

JOINED: Final = " + "
"""Separator of the selectors in the name of an unknown workload."""
_ADDRESS: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[^/?#@]*@)?(?:\[([^\]]*)\]|([^/?#:]*))", re.IGNORECASE
)
DIGITS: Final = 12
"""Digits of a program's digest in the name of a local process."""


def process_name(uid: int, sha256: str) -> str:
    """Return the inventory name of a local process without an agent: made of what the process cannot choose freely."""
    return f"uid {uid} sha256 {sha256[:DIGITS] or '?'}"


def stranger_name(evidence: Evidence) -> str:
    """Return the inventory name of a workload that requested enrolment and matches no agent: everything that was proved
    of it."""
    told = dict(
        one.rsplit(":", 1) for one in evidence.selectors if one.startswith(("unix:uid:", "unix:sha256:"))
    )
    uid = told.get("unix:uid", "")
    if evidence.source == "unix" and uid.isdigit():
        return process_name(int(uid), told.get("unix:sha256", ""))
    return JOINED.join(evidence.selectors)


def key_name(thumbprint: str) -> str:
    """Return the inventory name of a caller of whom only a key is known, by its RFC 7638 thumbprint."""
    return f"key:{thumbprint}"


def configured_name(server: str, reached: str) -> str:
    """Return the inventory name of a server in a client's configuration. It includes how the server is reached, so that
    a server that reuses a registered name with another program or host is not taken for the registered one."""
    return f"{server} ({reached})"


def reached_by(server: Server) -> str:
    """Return the program's name, or scheme and host of the URL, in the form that the collector reports from a client's
    configuration."""
    if server.command:
        return server.command.replace("\\", "/").rpartition("/")[2]
    found = _ADDRESS.match(server.url)
    return f"{found[1]}://{found[2] or found[3]}".lower() if found else server.url


class Registered:
    """The registered things, to compare sightings with. Make one for each registry snapshot."""

    def __init__(self, snapshot: RegistrySnapshot, nouns: Iterable[object] = ()) -> None:
        """nouns: of all documents, in force or not."""
        capabilities = [*snapshot.capabilities.values(), *snapshot.idle.values()]
        self._tools = {f"{one.server}/{one.target}" for one in capabilities}
        self._servers = {*snapshot.servers}
        self._servers |= {configured_name(one.name, reached_by(one)) for one in snapshot.servers.values()}
        self._sets: list[frozenset[str]] = []
        agents = {one.name: one for one in nouns if isinstance(one, Agent)} or dict(snapshot.agents)
        for agent in agents.values():
            self._sets += [frozenset(one) for one in agent.attestation]
            self._sets += [frozenset([key_name(one.thumbprint)]) for one in agent.keys]
            self._sets += [frozenset([f"unix:uid:{uid}"]) for uid in agent.unix_uids]
            self._sets += [frozenset([f"mtls:sha256:{one}"]) for one in agent.certificates]

    def __call__(self, one: Sighting) -> bool:
        """Whether the sighting is of something registered."""
        if one.kind == "tool":
            return one.name in self._tools
        if one.kind == "server":
            return one.name in self._servers
        selectors = set(one.name.split(JOINED))
        return any(found and found <= selectors for found in self._sets)
