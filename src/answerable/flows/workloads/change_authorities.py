"""Change the trust domain's authorities (rotate, remove), and record every change.

A state is recorded after it has changed: a stop must not wait for a record, and only the change itself shows what a
rotation did. Changes that a crash left unrecorded are recorded by the next process, which begins with the states it
finds.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import anyio.to_thread

from answerable.core.ledger import records_workload
from answerable.errors import Refused, Unavailable, shown
from answerable.errors.codes.identity import AUTHORITY_UNKNOWN
from answerable.flows.recording.record_entry import record_entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from answerable.core.identity.svid.authority import AuthorityState
    from answerable.flows.state.parts import Recorder
    from answerable.flows.trust_domain.keep_trust_domain import TrustDomainState


class AuthorityChanges:
    """Changes authorities. Use in the event loop's thread only. `alone`: a lock entered in a worker thread around every
    change, so that processes sharing keys do not create or sweep them at the same time."""

    def __init__(
        self,
        recorder: Recorder,
        desk: TrustDomainState,
        *,
        alone: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._alone = alone
        self._recorder = recorder
        self._desk = desk
        self._recorded: dict[str, AuthorityState] = {}
        self._turn = anyio.Lock()

    async def tend(self) -> None:
        """Do the rotation step that is due, and take over other processes' changes. Raises Unavailable."""
        await self._changed(self._desk.tend)

    async def rotate(self, *, activate: bool) -> None:
        """Begin the next generation. Raises Refused (`authority.too_many`), Unavailable."""
        await self._changed(lambda: self._desk.rotate(activate=activate))

    async def remove(self, authority: str) -> None:
        """Revoke everything that one authority signed. Raises Refused (`authority.unknown`), Unavailable."""
        await self._changed(lambda: self._desk.remove(authority))

    async def _changed(self, change: Callable[[], object]) -> None:
        async with self._turn:
            fault: Refused | Unavailable | None = None
            try:
                await anyio.to_thread.run_sync(self._changed_alone, change)
            except (Refused, Unavailable) as failed:
                # Record an incomplete change, too.
                fault = failed
            await self._record()
        if fault is not None:
            raise fault

    def _changed_alone(self, change: Callable[[], object]) -> None:
        with self._alone():
            change()

    async def _record(self) -> None:
        bundle = self._desk.bundle(self._desk.domain)
        sequence = bundle.sequence or 0 if bundle is not None else 0
        now = self._recorder.clock.now()
        for one in self._desk.authorities():
            if self._recorded.get(one.id) == one.state:
                continue
            entry = records_workload.authority_changed(
                self._desk.domain, one.id, at=now, state=one.state, sequence=sequence, public=one
            )
            _, left = await record_entry(self._recorder, entry)
            self._recorded[one.id] = one.state
            if left is not None:
                raise left


def known_authority(desk: TrustDomainState, named: str) -> str:
    """Return the id of the only authority with this prefix. Raises Refused (`authority.unknown`)."""
    found = [one.id for one in desk.authorities() if one.id.startswith(named)]
    if len(found) == 1:
        return found[0]
    if len(named) == 32:
        # If the domain did not open, no authorities are known: take a whole id as given.
        return named
    message = f"{shown(named)} matches {len(found)} authorities, expected exactly one"
    raise AUTHORITY_UNKNOWN(message)
