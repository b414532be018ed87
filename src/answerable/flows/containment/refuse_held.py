"""Refuse held callers at endpoints where no action is decided: tool lists and event streams.

A held action is refused in the walk, with a ledger entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.flows.revocation.cut_held import hold_on
from answerable.flows.state.streams import Stream
from answerable.flows.walk.list_capabilities import shown_lineage

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.flows.state.parts import AuthorityRegisters, LiveAccess
    from answerable.flows.state.worlds import Verification
    from answerable.ports.ledger import Ledger


def refuse_held(
    ledger: Ledger,
    authority: AuthorityRegisters,
    verification: Verification,
    caller: VerifiedCaller,
    mandate_id: str,
    server: str,
    *,
    delegation: str = "",
) -> None:
    """Refuse a held caller, mandate or server. Raises Refused (`held.<kind>`), and Unavailable when holds cannot be
    read. Does no I/O while no hold is new."""
    _refuse(
        authority,
        _stream(
            ledger, authority, verification, caller, mandate_id, server, delegation, _nothing, listens=False
        ),
    )


def open_stream(
    ledger: Ledger,
    authority: AuthorityRegisters,
    live: LiveAccess,
    verification: Verification,
    caller: VerifiedCaller,
    mandate_id: str,
    server: str,
    *,
    delegation: str = "",
    cut: Callable[[], None],
    listens: bool = False,
) -> Callable[[], None]:
    """Register a stream to be cut once it is held. Return a function that ends the registration. cut: ends the stream;
    must not wait. listens: as in Stream.

    Raises as `refuse_held`: a held caller opens no stream.
    """
    stream = _stream(
        ledger, authority, verification, caller, mandate_id, server, delegation, cut, listens=listens
    )
    # Register before checking: a hold placed after the check then finds the stream.
    live.streams.add(stream)
    live.opened.ring()
    try:
        _refuse(authority, stream)
    except BaseException:
        live.streams.discard(stream)
        raise
    return lambda: live.streams.discard(stream)


def _stream(
    ledger: Ledger,
    authority: AuthorityRegisters,
    verification: Verification,
    caller: VerifiedCaller,
    mandate_id: str,
    server: str,
    delegation: str,
    cut: Callable[[], None],
    *,
    listens: bool,
) -> Stream:
    delegation_lineage = shown_lineage(
        ledger, authority, verification, caller, mandate_id, delegation, server, authority.clock.now()
    )
    return Stream(
        caller=caller, delegation_lineage=delegation_lineage, server=server, cut=cut, listens=listens
    )


def _refuse(authority: AuthorityRegisters, stream: Stream) -> None:
    hold = hold_on(authority, stream)
    if hold is not None:
        raise hold.refusal()


def _nothing() -> None:
    return
