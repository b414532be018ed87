"""Derive the caveats of a verification: what a copy of a log cannot prove by itself, and what could prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.verify.report import Caveat, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answerable.verify.report import Standing


def caveats_of(standing: Standing) -> tuple[Caveat, ...]:
    """Return all caveats."""
    asked = {"stale"} | ({"not_witnessed"} if standing.policy_given else set())
    return tuple(Caveat(code=code, message=message, unmet=code in asked) for code, message in _open(standing))


def _open(standing: Standing) -> Iterator[tuple[str, str]]:
    size, witnessed = standing.size, standing.witnessed
    if not standing.key_given:
        yield "key_not_given", "the key came with the log: confirm it from another source"
    if standing.is_public_part:
        yield "payloads_absent", "only the public part of the log is here: payloads were not checked"
    if standing.lacks_tiles:
        yield "tiles_absent", "the public part of the log is missing: its tiles were not checked"
    if standing.lacks_history and not standing.is_public_part:
        text = "earlier checkpoints were removed: when earlier entries were signed and witnessed is unknown"
        yield "history_absent", text
    if size > standing.signed:
        count = size - standing.signed
        yield "unsigned_tail", f"the last {count} entries, from {standing.signed} on, are not yet signed over"
    if standing.policy_given and not witnessed:
        yield (
            "not_witnessed",
            "no checkpoint has the cosignatures that the policy requires: another history may exist",
        )
    elif standing.policy_given and witnessed < size:
        count = size - witnessed
        yield (
            "unwitnessed_tail",
            f"the last {count} entries, from {witnessed} on, were not yet seen by witnesses",
        )
    if standing.is_torn:
        text = "the last write is incomplete, as after a power failure; it had not been acknowledged"
        yield "torn_tail", text
    if max(standing.kept, witnessed) < size:
        known = f"what was kept reaches entry {standing.kept}" if standing.kept >= 0 else "nothing was kept"
        yield (
            "newer_removed",
            f"newer entries and checkpoints may have been taken away ({known}): only a witness can exclude that",
        )
    if standing.since and standing.witnessed_at < standing.since:
        yield (
            "stale",
            f"there is no cosignature since {instant(standing.since)}, which was asked for: newer entries may have "
            "been taken away, or others put in their place",
        )
    if standing.references_elsewhere:
        count = standing.references_elsewhere
        yield (
            "references_elsewhere",
            f"{count} references to other logs were not followed: verify those logs too",
        )
