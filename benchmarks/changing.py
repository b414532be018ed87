"""Messages of an agent that is given one mandate after the other, as agents are: shared by the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from course import MANDATE, PEER_UID, Course, Sent, mandate_of, mixed, unsigned

from answerable.core.identity.proof.channel import Channel, PeerCredentials
from answerable.core.mandate.mandate import MandateId

ACTIONS_A_MANDATE = 10


def changing_messages(course: Course, *, each: int = ACTIONS_A_MANDATE) -> Iterator[Sent]:
    """Messages on one Unix-socket connection of an agent that is given a new mandate each so many actions."""
    peer = PeerCredentials(pid=4711, uid=PEER_UID, gid=PEER_UID, started=1)
    walk, name = course.walk, MANDATE
    for number in count(1):
        if number % each == 1 or each == 1:
            name = MandateId(f"{number:026}")
            walk.authority.mandates.add(mandate_of(course.person, walk.clock.now(), name))
        yield unsigned(mixed(number), name), Channel(connection=1, sequence=number, peer=peer)
