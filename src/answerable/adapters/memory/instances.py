"""Instances in memory: the same answers as a durable register, until the process ends."""

from __future__ import annotations

import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from answerable.errors import Malformed, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.instance import Instance
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.identity.spiffe_id import SpiffeId


class MemoryInstanceRegister:
    """Port InstanceRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._instances: dict[SpiffeId, Instance] = {}
        self._by_key: dict[str, SpiffeId] = {}
        self._by_process: dict[str, SpiffeId] = {}
        self._ids: set[SpiffeId] = set()

    def add(self, instance: Instance) -> None:
        """As the port says. Raises Malformed (`instance.parent`) for a sub-agent of what is not live, too."""
        key = instance.key.thumbprint if instance.key is not None else ""
        process = instance.process if not instance.parent else ""
        with self._lock:
            if instance.id in self._ids or key in self._by_key or process in self._by_process:
                message = f"instance {shown(str(instance.id))}, its key or its process is registered already"
                raise Malformed(message, code="instance.duplicate")
            if instance.parent and not self._lives(instance.parent):
                message = f"the parent of {shown(str(instance.id))} is not live"
                raise Malformed(message, code="instance.parent")
            self._ids.add(instance.id)
            self._instances[instance.id] = instance
            if key:
                self._by_key[key] = instance.id
            if process:
                self._by_process[process] = instance.id

    def put(self, instance: Instance) -> bool:
        """As the port says. What an instance is does not change: agent, key, process, parent."""
        with self._lock:
            known = self._instances.get(instance.id)
            if known is None or known.state != "live" or instance.state != "live":
                return False
            if _fixed(known) != _fixed(instance):
                return False
            self._instances[instance.id] = instance
            return True

    def end(self, instance: SpiffeId, *, because: str) -> tuple[Instance, ...]:
        """As the port says."""
        ended: list[Instance] = []
        with self._lock:
            waiting = [instance]
            while waiting:
                identity = waiting.pop(0)
                waiting += [one.id for one in self._instances.values() if one.parent == str(identity)]
                known = self._instances.get(identity)
                if known is None or known.state != "live":
                    continue
                gone = changed(known, state="ended", ended_because=because)
                self._instances[identity] = gone
                if self._by_process.get(known.process) == identity:
                    del self._by_process[known.process]
                ended.append(gone)
        return tuple(ended)

    def find(self, instance: SpiffeId) -> Instance | None:
        """As the port says."""
        return self._instances.get(instance)

    def by_key(self, thumbprint: str) -> Instance | None:
        """As the port says."""
        identity = self._by_key.get(thumbprint)
        return self._instances.get(identity) if identity is not None else None

    def by_process(self, process: str) -> Instance | None:
        """As the port says."""
        identity = self._by_process.get(process)
        return self._instances.get(identity) if identity is not None else None

    def of_agent(self, agent: AgentId) -> Iterable[Instance]:
        """As the port says."""
        return tuple(one for one in self.live() if one.agent == agent)

    def live(self) -> Iterable[Instance]:
        """As the port says."""
        return tuple(one for one in tuple(self._instances.values()) if one.state == "live")

    def forget_ended(self, *, before: UnixMillis) -> int:
        """As the port says."""
        with self._lock:
            old = [
                one.id for one in self._instances.values() if one.state == "ended" and one.expires_at < before
            ]
            for identity in old:
                del self._instances[identity]
        return len(old)

    def _lives(self, identity: str) -> bool:
        return any(str(one.id) == identity and one.state == "live" for one in self._instances.values())


def _fixed(instance: Instance) -> tuple[object, ...]:
    return instance.agent, instance.key, instance.process, instance.parent, instance.enrolled_at
