"""What a followed log of a target shows against our record: a bypass, a forged label, another content, or a phantom.

Laws: a finding holds no text of a line but the name of the account; the same lines give the same id, however often they
are read, so that each finding is recorded once; lines of one session, hour and account are one finding, and
where a line names no session, those of one hour and account.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import structs

from answerable.core.attribution.answer import Grade
from answerable.core.lease.name import lease_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from answerable.core.attribution.answer import Answer
    from answerable.core.attribution.log_line import LogLine
    from answerable.core.attribution.step import Step, StepLookup

Shown = Literal["bypass", "content", "forged", "phantom"]
HOUR_MS: Final = 3_600_000
ACCOUNT_CHARS_MAX: Final = 256
_ID_CHARS: Final = 32


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """id: 32 hexadecimal digits. at: of the line, or of the step of a phantom; Unix milliseconds, 0 where unknown.
    line: SHA-256 of the first such line, hexadecimal; empty for a phantom. is_governed: whether the account is one of
    the broker's, and so nobody's name. agent, mandate, action, step: whose it is, as far as that is known; step is the
    entry of the intent, -1 for none. claimed: the step or lease that a forged label names. differs: fields in which
    log and record differ."""

    id: str
    target: str
    kind: str
    verdict: Shown
    at: int
    account: str
    is_governed: bool
    grade: Grade = ""
    line: str = ""
    agent: str = ""
    mandate: str = ""
    action: str = ""
    step: int = -1
    claimed: str = ""
    differs: str = ""


def finding_of(
    line: LogLine, answer: Answer, steps: StepLookup, *, target: str, kind: str, digest: str, governed: bool
) -> Finding:
    """Return the finding of a line that is a bypass or forged. governed: whether the account is one of the broker's."""
    verdict: Shown = "forged" if answer.verdict == "forged" else "bypass"
    step = answer.step or _holder(line.account, steps)
    session = ("=".join(line.keys[0]) if line.keys else "") + line.origin
    # A session that does not end is told anew each hour.
    hour = str(line.at // HOUR_MS)
    found = Finding(
        id=_id(target, kind, verdict, line.account, line.login, session, answer.claimed, hour),
        target=target,
        kind=kind,
        verdict=verdict,
        grade=answer.grade,
        at=line.at,
        account=line.account[:ACCOUNT_CHARS_MAX] or line.login[:ACCOUNT_CHARS_MAX],
        is_governed=governed,
        line=digest,
        claimed=answer.claimed,
    )
    return _with(found, step)


def content_of(
    step: Step, differs: Sequence[str], *, kind: str, grade: Grade = "B", at: int = 0, digest: str = ""
) -> Finding:
    """Return the finding of a step of which its target's log says another content than is recorded. at, digest: of the
    line that says so; without one, the log has none that says what is recorded."""
    fields = ", ".join(sorted(differs))
    found = Finding(
        id=_id(step.target, "content", step.action, fields),
        target=step.target,
        kind=kind,
        verdict="content",
        grade=grade,
        at=at or step.started,
        account=step.account[:ACCOUNT_CHARS_MAX],
        is_governed=True,
        line=digest,
        differs=fields,
    )
    return _with(found, step)


def phantom_of(step: Step, *, kind: str) -> Finding:
    """Return the finding of a step of which its target's log says nothing."""
    found = Finding(
        id=_id(step.target, "phantom", step.action),
        target=step.target,
        kind=kind,
        verdict="phantom",
        at=step.started,
        account=step.account[:ACCOUNT_CHARS_MAX],
        is_governed=True,
    )
    return _with(found, step)


def _holder(account: str, steps: StepLookup) -> Step | None:
    """Return the last step that had the account of a lease: by whose account somebody came in."""
    lease = lease_of(account)
    known = steps.by_lease(lease) if lease is not None else ()
    return known[-1] if known else None


def _with(found: Finding, step: Step | None) -> Finding:
    if step is None:
        return found
    return structs.replace(found, agent=step.agent, mandate=step.mandate, action=step.action, step=step.entry)


def _id(*parts: str) -> str:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_ID_CHARS]
