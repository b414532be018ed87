"""Keep the broker's long-lived secrets out of arguments, answers and errors: refuse or withhold content with one in it.

The secret is marked as exposed and named in messages, never displayed.

Laws: no content with a secret leaves the broker, whether or not the store can be written; the store records the
exposure before the answer is sent, or as soon as it can be written.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from answerable.core.lease.secret_watch import texts_of
from answerable.core.lease.stored_secret import TEXT_CHARS_MAX
from answerable.errors import AnswerableError, Refused, Unavailable, shown
from answerable.errors.codes.leases import SECRET_EXPOSED, SECRET_PASSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.canonical import JSONValue
    from answerable.core.lease.credential import Performed
    from answerable.core.lease.secret_watch import SecretWatch
    from answerable.flows.leases.secret_desk import SecretState
    from answerable.ports.upstream import Progress

SMALL_BYTES: Final = 65_536
"""Content scanned in the event loop; larger content is scanned in a thread, so that other tasks do not wait."""
NAMED_MAX: Final = 8
"""Names in one sentence; every secret found is marked as exposed."""
WITHHELD: Final = "secret_withheld"

_log: Final = logging.getLogger(__name__)


def refuse_exposed(desk: SecretState | None, target: str) -> None:
    """Refuse a target one of whose secrets was exposed and is not replaced yet. Raises Refused (`secret.exposed`)."""
    if desk is None or not desk.refuses_exposed:
        return
    for name in sorted(desk.used_by.get(target, frozenset()) & desk.exposed.keys()):
        how = f"`answerable secret rotate {name}`"
        if name in desk.burnt:
            how = "where its target file refers to it"
        raise SECRET_EXPOSED(
            f"secret {shown(name)} of target {shown(target)} was exposed: no action uses it until "
            f"it is replaced ({how})"
        )


async def refuse_passed(desk: SecretState | None, arguments: Mapping[str, JSONValue], *, by: str) -> None:
    """Refuse arguments that contain a secret, before anything is sent. by: who passed them, and how. Raises Refused
    (`secret.passed`)."""
    found = await _found(desk, arguments)
    if desk is not None and found:
        await _expose(desk, found, f"passed by {by}")
        raise SECRET_PASSED(
            f"the arguments contain {_named(found)}, which no agent may have: nothing was sent"
        )


async def withheld(
    desk: SecretState | None, performed: Performed, *, by: str
) -> tuple[Performed, tuple[str, ...]]:
    """Return the answer that may be sent, and the names of the secrets found in the original one. by: what answered,
    and whom."""
    found = await _found(desk, performed.result)
    if desk is None or not found:
        return performed, ()
    await _expose(desk, found, f"shown by {by}")
    text = f"The action was performed. Its answer held {_named(found)}, and is withheld."
    result: dict[str, object] = {"content": [{"type": "text", "text": text}]}
    if "isError" in performed.result:
        result["isError"] = performed.result["isError"]
    session = (*performed.session, (WITHHELD, " ".join(found[:NAMED_MAX])))
    return replace(performed, result=result, session=session), found[:NAMED_MAX]


async def without_secrets(
    desk: SecretState | None, failed: Refused | Unavailable, *, by: str
) -> Refused | Unavailable:
    """Return the failure with any secret withheld."""
    found = await _found(desk, [failed.message, *getattr(failed, "reasons", ())])
    if desk is None or not found:
        return failed
    await _expose(desk, found, f"shown by {by}")
    message = f"the action failed, and the target's answer is withheld: it contains {_named(found)}"
    if isinstance(failed, Unavailable):
        return Unavailable(message, code=failed.code, port=failed.port, effect=failed.effect)
    return Refused(message, code=failed.code)


def guarded(desk: SecretState | None, progress: Progress | None, *, by: str) -> Progress | None:
    """Wrap progress so that its messages contain no secret, whole or split."""
    if desk is None or progress is None:
        return progress
    passing = [one.passing() for one in desk.watches]

    async def told(done: float, total: float | None, message: str | None) -> None:
        words = (message or "").encode("utf-8", "replace")
        found = tuple(name for one in passing for name in one.found_in(words))
        if found:
            await _expose(desk, found, f"shown by {by}")
        await progress(done, total, None if found else message)

    return told


async def _found(desk: SecretState | None, value: object) -> tuple[str, ...]:
    if desk is None or not desk.watches:
        return ()
    content, watches = texts_of(value), desk.watches
    if len(content) <= SMALL_BYTES:
        return _found_by(watches, content)
    return await to_thread.run_sync(_found_by, watches, content)


def _found_by(watches: tuple[SecretWatch, ...], content: bytes) -> tuple[str, ...]:
    return tuple(name for watch in watches for name in watch.found_in(content))


async def _expose(desk: SecretState, names: tuple[str, ...], why: str) -> None:
    """Mark these secrets as exposed. Only the first place found is recorded."""
    why = "".join(one if one.isprintable() else " " for one in why)[:TEXT_CHARS_MAX]
    for name in names:
        if name in desk.exposed:
            continue
        desk.exposed[name] = why
        _log.error("the secret %s was exposed: %s", name, why)
        if name in desk.others:
            desk.burnt[name] = desk.others[name]
            continue
        desk.untold[name], desk.seen = why, None
        try:
            store = desk.opens()
            if store is not None:
                await to_thread.run_sync(store.expose, name, why)
                desk.untold.pop(name, None)
        except AnswerableError as failed:
            _log.error("that %s was exposed cannot be written down yet: %s", name, failed.message)
    desk.stirred.set()


def _named(names: tuple[str, ...]) -> str:
    what = "the secret" if len(names) == 1 else "the secrets"
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{what} {', '.join(shown(name) for name in names[:NAMED_MAX])}{more} of the broker"
