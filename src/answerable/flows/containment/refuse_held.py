"""What is held at a door where nothing is decided: whoever asks for a list or opens a stream of events.

An action that is held is refused in the walk, with an entry that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.revocation.cut_held import hold_on
from answerable.flows.state.streams import Stream
from answerable.flows.walk.list_capabilities import shown_lineage

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.flows.state.walk import Walk


def refuse_held(
    walk: Walk, caller: VerifiedCaller, mandate_id: str, server: str, *, delegation: str = ""
) -> None:
    """Raises Refused (`held.<kind>`) when this caller, its task or this server is held, Unavailable when nobody can
    say. Without I/O while nothing is new."""
    _refuse(walk, _stream(walk, caller, mandate_id, server, delegation, _nothing, listens=False))


def open_stream(
    walk: Walk,
    caller: VerifiedCaller,
    mandate_id: str,
    server: str,
    *,
    delegation: str = "",
    cut: Callable[[], None],
    listens: bool = False,
) -> Callable[[], None]:
    """Have a stream cut once it is held; returns what ends that. cut: ends the stream; must not wait. listens: as
    Stream.

    Raises as `refuse_held`: whoever is held opens none.
    """
    stream = _stream(walk, caller, mandate_id, server, delegation, cut, listens=listens)
    # In this order: what is held after the look finds it there.
    walk.streams.add(stream)
    walk.opened.ring()
    try:
        _refuse(walk, stream)
    except BaseException:
        walk.streams.discard(stream)
        raise
    return lambda: walk.streams.discard(stream)


def _stream(
    walk: Walk,
    caller: VerifiedCaller,
    mandate_id: str,
    server: str,
    delegation: str,
    cut: Callable[[], None],
    *,
    listens: bool,
) -> Stream:
    delegation_lineage = shown_lineage(walk, caller, mandate_id, delegation, server, walk.clock.now())
    return Stream(
        caller=caller, delegation_lineage=delegation_lineage, server=server, cut=cut, listens=listens
    )


def _refuse(walk: Walk, stream: Stream) -> None:
    hold = hold_on(walk, stream)
    if hold is not None:
        raise hold.refusal()


def _nothing() -> None:
    return
