"""Whether what was seen is registered by now: then it leaves the inventory, in force or not."""

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
"""Between the selectors by which a stranger is called."""
_ADDRESS: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[^/?#@]*@)?(?:\[([^\]]*)\]|([^/?#:]*))", re.IGNORECASE
)
DIGITS: Final = 12
"""Of a program's digest, in the name of a local process."""


def process_name(uid: int, sha256: str) -> str:
    """What a local process is called that belongs to no agent: by what it cannot choose freely."""
    return f"uid {uid} sha256 {sha256[:DIGITS] or '?'}"


def stranger_name(evidence: Evidence) -> str:
    """What is called so that asked to be enrolled and belongs to no agent: all that was proved of it."""
    told = dict(
        one.rsplit(":", 1) for one in evidence.selectors if one.startswith(("unix:uid:", "unix:sha256:"))
    )
    uid = told.get("unix:uid", "")
    if evidence.source == "unix" and uid.isdigit():
        return process_name(int(uid), told.get("unix:sha256", ""))
    return JOINED.join(evidence.selectors)


def key_name(thumbprint: str) -> str:
    """What somebody is called of whom nothing is known but a key, by its RFC 7638 thumbprint."""
    return f"key:{thumbprint}"


def configured_name(server: str, reached: str) -> str:
    """What a server is called that a client's configuration names: whoever calls his own by a registered name is not
    taken for that one while it is reached by another program, or at another host."""
    return f"{server} ({reached})"


def reached_by(server: Server) -> str:
    """The program's name, or scheme and host of the address, as the collector says it of a client's configuration."""
    if server.command:
        return server.command.replace("\\", "/").rpartition("/")[2]
    found = _ADDRESS.match(server.url)
    return f"{found[1]}://{found[2] or found[3]}".lower() if found else server.url


class Registered:
    """What is registered, to hold sightings against. Made once for each registry."""

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
        """Whether it leaves."""
        if one.kind == "tool":
            return one.name in self._tools
        if one.kind == "server":
            return one.name in self._servers
        selectors = set(one.name.split(JOINED))
        return any(found and found <= selectors for found in self._sets)
