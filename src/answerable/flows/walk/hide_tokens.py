"""Keep credentials out of tool arguments, tool answers and progress messages.

A finding is recorded by kind and number, with the refusal or the outcome. The credential itself is not recorded.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import msgspec

from answerable.core.action.token_shapes import Finding, described, found_in, hidden_in
from answerable.core.canonical import encode
from answerable.errors.codes.action import ARGUMENTS_TOKEN
from answerable.flows.entries.log_outcome import result_bytes

if TYPE_CHECKING:
    from answerable.core.action.outcome import Outcome
    from answerable.core.action.request import VerifiedRequest
    from answerable.core.canonical import JSONValue
    from answerable.ports.upstream import Progress

INLINE_BYTES_MAX: Final = 65_536
"""Longer answers are searched in a worker thread, off the event loop."""
NOT_READABLE: Final[dict[str, JSONValue]] = {
    "isError": True,
    "content": [{"type": "text", "text": "the answer held a credential and could not be shown without it"}],
}


def check_tokens(verified: VerifiedRequest) -> None:
    """Raise Refused (`arguments.token`) if the action, or the reason the agent gives, contains a credential.

    Only the arguments that the capability names as credential arguments may contain one.
    """
    expected, request = verified.resolved.capability.credential_arguments, verified.request
    content = request.action.bytes
    if expected:
        arguments = {name: value for name, value in request.arguments.items() if name not in expected}
        content = encode({"arguments": arguments, "target": request.target})
    findings = found_in(content) or found_in(request.reason.encode())
    if findings:
        raise ARGUMENTS_TOKEN(
            f"the arguments hold what looks like a credential ({described(findings)}): leave it out, tools get theirs "
            "from the gateway"
        )


class HiddenProgress:
    """Passes a tool's progress messages on to the caller with every credential in them hidden."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._found: Counter[str] = Counter()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        """Hide credentials in the message and pass the progress on."""
        if message:
            content = message.encode("utf-8", "replace")
            if len(content) > INLINE_BYTES_MAX:
                plain, findings = await anyio.to_thread.run_sync(hidden_in, content)
            else:
                plain, findings = hidden_in(content)
            if findings:
                message = plain.decode()
                self._found.update({one.kind: one.number for one in findings})
        await self._progress(progress, total, message)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings hidden so far."""
        return tuple(Finding(kind, number) for kind, number in sorted(self._found.items()))


def hidden_progress(verified: VerifiedRequest, progress: Progress | None) -> HiddenProgress | None:
    """Wrap `progress`; None if there is no listener, or if the tool may answer with credentials."""
    if progress is None or verified.resolved.capability.credential_answers:
        return None
    return HiddenProgress(progress)


async def hide_tokens(outcome: Outcome, told: HiddenProgress | None = None) -> Outcome:
    """Return the outcome with every credential in its answer hidden.

    The detail states how many of what kind were hidden, including those that `told` hid in progress messages.
    """
    if told is not None and told.findings:
        outcome = _noted(outcome, f"hidden in progress: {described(told.findings)}")
    if outcome.detail:
        plain, found = hidden_in(outcome.detail.encode("utf-8", "replace"))
        if found:
            outcome = msgspec.structs.replace(outcome, detail=plain.decode())
    if outcome.result is None:
        return outcome
    whole = result_bytes(outcome.result)
    if len(whole) > INLINE_BYTES_MAX:
        # The effect has happened and must be recorded, even if the caller leaves meanwhile.
        with anyio.CancelScope(shield=True):
            shown, findings = await anyio.to_thread.run_sync(hidden_in, whole)
    else:
        shown, findings = hidden_in(whole)
    if not findings:
        return outcome
    try:
        result: dict[str, JSONValue] = msgspec.json.decode(shown)
    except msgspec.MsgspecError:
        result = NOT_READABLE
    outcome = msgspec.structs.replace(outcome, result=result)
    return _noted(outcome, f"hidden in the answer: {described(findings)}")


def _noted(outcome: Outcome, said: str) -> Outcome:
    return msgspec.structs.replace(outcome, detail=f"{outcome.detail}; {said}" if outcome.detail else said)
