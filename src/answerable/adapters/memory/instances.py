"""Instances in memory: the same answers as a durable register, until the process ends."""

from __future__ import annotations

import threading
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Final

from answerable.errors import Malformed, shown
from answerable.ports.instance_register import FORGOTTEN, UNRECORDED_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable

    from answerable.core.identity.instance import Instance
    from answerable.core.identity.principal import AgentId, UnixMillis
    from answerable.core.identity.spiffe_id import SpiffeId
    from answerable.ports.instance_register import LostEnd

WITH_PARENT: Final = "parent.ended"


class MemoryInstanceRegister:
    """Port InstanceRegister."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._instances: dict[SpiffeId, Instance] = {}
        self._by_key: dict[str, SpiffeId] = {}
        self._by_process: dict[str, SpiffeId] = {}
        self._ids: set[SpiffeId] = set()
        self._unrecorded: dict[SpiffeId, str] = {}
        # The instance of a process that ended last, and why.
        self._ended: dict[str, tuple[SpiffeId, str]] = {}
        self._last_subs: dict[str, SpiffeId] = {}
        self._ended_keys: dict[str, str] = {}

    def add(self, instance: Instance) -> None:
        """As the port says. Raises Malformed (`instance.parent`) for a sub-agent of what is not live, too."""
        key = instance.key.thumbprint if instance.key is not None else ""
        process = instance.process if not instance.parent else ""
        with self._lock:
            taken = key in self._by_key or key in self._ended_keys
            if instance.id in self._ids or taken or process in self._by_process:
                message = f"instance {shown(str(instance.id))}, its key or its process is registered already"
                raise Malformed(message, code="instance.duplicate")
            if instance.parent and not self._lives(instance.parent):
                message = f"the parent of {shown(str(instance.id))} is not live"
                raise Malformed(message, code="instance.parent")
            self._ids.add(instance.id)
            self._instances[instance.id] = instance
            if instance.parent:
                self._last_subs[instance.parent] = instance.id
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

    def end(self, instance: SpiffeId, *, because: str, by: str = "") -> tuple[Instance, ...]:
        """As the port says."""
        return self.end_many((instance,), because=because, by=by)

    def end_many(self, instances: Iterable[SpiffeId], *, because: str, by: str = "") -> tuple[Instance, ...]:
        """As the port says."""
        ended: list[Instance] = []
        with self._lock:
            below: dict[str, list[SpiffeId]] = {}
            for one in self._instances.values():
                if one.parent and one.state == "live":
                    below.setdefault(one.parent, []).append(one.id)
            family = dict.fromkeys(instances, because)
            waiting = list(family)
            while waiting:
                following = [sub for identity in waiting for sub in below.get(str(identity), ())]
                for sub in following:
                    # To its new place behind its parent, also where it was named itself.
                    family.pop(sub, None)
                    family[sub] = WITH_PARENT
                waiting = following
            for identity, told in family.items():
                known = self._instances.get(identity)
                if known is not None and known.state == "live":
                    ended.append(self._end(known, because, told, by))
        return tuple(ended)

    def unrecorded(self) -> tuple[tuple[Instance, str], ...]:
        """As the port says."""
        with self._lock:
            first = tuple(self._unrecorded.items())[:UNRECORDED_MAX]
            return tuple((self._instances[identity], because) for identity, because in first)

    def last_sub_agent(self, parent: SpiffeId) -> SpiffeId | None:
        """As the port says."""
        return self._last_subs.get(str(parent))

    def recorded(self, instances: Iterable[SpiffeId]) -> None:
        """As the port says."""
        with self._lock:
            for identity in instances:
                self._unrecorded.pop(identity, None)

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

    def process_ended(self, process: str) -> str:
        """As the port says."""
        return self._ended.get(process, ("", ""))[1]

    def key_ended(self, thumbprint: str) -> str:
        """As the port says."""
        return self._ended_keys.get(thumbprint, "")

    def take_lost(self, ends: Iterable[LostEnd]) -> int:
        """As the port says."""
        count = 0
        with self._lock:
            for one in ends:
                if one.instance in self._ids or one.key in self._by_key or one.key in self._ended_keys:
                    continue
                self._ids.add(one.instance)
                self._ended_keys[one.key] = one.because
                count += 1
        return count

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
                one
                for one in self._instances.values()
                if one.state == "ended" and one.expires_at < before and one.id not in self._unrecorded
            ]
            for one in old:
                del self._instances[one.id]
                last, because = self._ended.get(one.process, (None, ""))
                if last == one.id and because in FORGOTTEN:
                    del self._ended[one.process]
        return len(old)

    def _end(self, known: Instance, because: str, told: str, by: str) -> Instance:
        gone = changed(known, state="ended", ended_because=because, ended_by=by)
        self._instances[known.id] = gone
        self._unrecorded[known.id] = told
        if known.key is not None:
            self._ended_keys[known.key.thumbprint] = because
        if known.process and not known.parent:
            self._ended[known.process] = known.id, because
            if self._by_process.get(known.process) == known.id:
                del self._by_process[known.process]
        return gone

    def _lives(self, identity: str) -> bool:
        return any(str(one.id) == identity and one.state == "live" for one in self._instances.values())


def _fixed(instance: Instance) -> tuple[object, ...]:
    return instance.agent, instance.key, instance.process, instance.parent, instance.enrolled_at
