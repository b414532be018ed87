"""Errors for a target that does not answer, by when it happened: whether the call may have had an effect follows from
that. Each names the target and quotes nothing that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from answerable.errors.codes.leases import TARGET_LOGIN, TARGET_LOST, TARGET_TIMEOUT, TARGET_UNREACHABLE

if TYPE_CHECKING:
    from answerable.errors import Unavailable


def login_refused(target: str) -> Unavailable:
    """Return the error (`target.login`, no effect) for a target that refuses the credential when a session opens."""
    return TARGET_LOGIN(f"{target} refuses the credential of the lease")


def not_reached(target: str) -> Unavailable:
    """Return the error (`target.unreachable`, no effect) for a target to which no session opens."""
    return TARGET_UNREACHABLE(f"{target} does not answer")


def no_answer_in_time(target: str, seconds_max: float) -> Unavailable:
    """Return the error (`target.timeout`, effect unknown) for a call whose answer did not come in time."""
    return TARGET_TIMEOUT(f"{target} gave no answer within {seconds_max:g} seconds", effect="unknown")


def connection_lost(target: str, *, was_sent: bool) -> Unavailable:
    """Return the error (`target.lost`) for a session that ended. was_sent: whether a part of the call may have reached
    the target, so that the effect is unknown; else there is none."""
    return TARGET_LOST(f"the connection to {target} has ended", effect="unknown" if was_sent else "none")
