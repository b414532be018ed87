"""Read a denial by people from an answer, or raise it as an exception, with advice on what may help next.

    result = await client.call_tool("refund", arguments)
    raise_if_denied(result.structured_content)

The same object is in the structured content of a tool's result, in the data of a JSON-RPC error and in problem details.
It is checked and bounded: it is untrusted data, and a person wrote its comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast

from answerable.errors import Refused
from answerable.errors.codes.approval import DENIAL_MALFORMED

if TYPE_CHECKING:
    from collections.abc import Mapping

CODE: Final = "approval.denied"
TEXT_CHARS_MAX: Final = 2_000
GROUPS_MAX: Final = 64
_RETRIES: Final = ("never", "changed", "later")


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A denial by people. approval: the id. reason: code of the closed list. retry: whether requesting again can help,
    and how; `never` for an unknown value. not_before: Unix milliseconds, if waiting helps. narrower: the full arguments
    that an approver proposes instead; None if there are none."""

    approval: str
    reason: str
    retry: Literal["never", "changed", "later"]
    advice: str
    comment: str = ""
    groups: tuple[str, ...] = ()
    not_before: int | None = None
    narrower: Mapping[str, object] | None = None


class DeniedByPeople(Refused):
    """People denied this action. said: the denial."""

    def __init__(self, said: Denial, *, entry_index: int | None = None) -> None:
        super().__init__(
            f"approval {said.approval} was denied by people",
            code=CODE,
            reasons=(said.reason, said.advice, *((said.comment,) if said.comment else ())),
            entry_index=entry_index,
        )
        self.said = said


def denial_in(answer: object) -> Denial | None:
    """Return the denial in an answer, or None if people did not deny.

    answer: structured content of a result, data of an error, or problem details. Raises Malformed (`denial.malformed`)
    for a denial that is not well-formed.
    """
    if not isinstance(answer, dict) or answer.get("code") != CODE or "denial" not in answer:
        return None
    told = answer["denial"]
    if not isinstance(told, dict):
        raise DENIAL_MALFORMED()
    groups, not_before, narrower = told.get("groups", []), told.get("not_before"), told.get("narrower")
    if not isinstance(groups, list) or len(groups) > GROUPS_MAX:
        raise DENIAL_MALFORMED()
    if not_before is not None and type(not_before) is not int:
        raise DENIAL_MALFORMED()
    arguments = narrower.get("arguments") if isinstance(narrower, dict) else None
    if narrower is not None and not isinstance(arguments, dict):
        raise DENIAL_MALFORMED()
    retry = told.get("retry")
    return Denial(
        approval=_text(told, "approval"),
        reason=_text(told, "reason"),
        retry=cast("Literal['never', 'changed', 'later']", retry) if retry in _RETRIES else "never",
        advice=_text(told, "advice"),
        comment=_text(told, "comment"),
        groups=tuple(_checked(one) for one in groups),
        not_before=not_before,
        narrower=arguments,
    )


def raise_if_denied(answer: object) -> None:
    """Raises DeniedByPeople if people denied, Malformed as `denial_in`."""
    said = denial_in(answer)
    if said is None:
        return
    entry = answer.get("entry", answer.get("entry_index")) if isinstance(answer, dict) else None
    raise DeniedByPeople(said, entry_index=entry if type(entry) is int else None)


def _text(told: dict[str, object], name: str) -> str:
    return _checked(told.get(name, ""))


def _checked(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise DENIAL_MALFORMED()
    return value
