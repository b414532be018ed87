"""Remembering, without I/O, that somebody proved asked for what nobody registered; it is refused all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.core.action.token_shapes import hidden_in
from answerable.core.registry.snapshot.unregistered import stranger_name

if TYPE_CHECKING:
    from answerable.core.identity.proof.caller import VerifiedCaller
    from answerable.core.identity.workload.evidence import Evidence
    from answerable.flows.state.walk import Walk


def note_unregistered(walk: Walk, caller: VerifiedCaller, server: str, target: str = "") -> None:
    """A server, or a tool of a registered one. A name may be anything, a credential too, and is written down. Never
    raises."""
    is_server = server not in walk.registry.current.servers
    if not is_server and not target:
        # Registered a moment ago.
        return
    name = server if is_server else f"{server}/{target}"
    plain, _ = hidden_in(name.encode("utf-8", "replace"))
    walk.sightings.note(
        "server" if is_server else "tool",
        plain.decode(),
        caller.at,
        source=f"agent {caller.agent}",
        grade="gateway",
        how="asked for",
    )


def note_stranger(walk: Walk, evidence: Evidence) -> None:
    """Somebody who asked to be enrolled and belongs to no agent. Only what was proved is noted; who proves much has
    room of its own for it. Never raises."""
    walk.sightings.note(
        "agent",
        stranger_name(evidence),
        walk.clock.now(),
        source=f"enrolment by {evidence.source}",
        grade=evidence.grade,
        how="asked to be enrolled",
    )
