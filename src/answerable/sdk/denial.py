"""What an agent's author does with a no of people: reads it, or has it raised, with what may help next.

    result = await client.call_tool("refund", arguments)
    raise_if_denied(result.structured_content)

It is the same object in the structured content of a tool's result, in the data of a JSON-RPC error and in problem
details. What came is checked and bounded: it is data, and a comment in it was written by somebody.
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
    """approval: the id. reason: code of the closed list. retry: whether asking again can help, and how; `never` for a
    word that is not known here. not_before: Unix milliseconds, where waiting helps. narrower: all arguments that an
    approver would rather be asked about; None where none were proposed."""

    approval: str
    reason: str
    retry: Literal["never", "changed", "later"]
    advice: str
    comment: str = ""
    groups: tuple[str, ...] = ()
    not_before: int | None = None
    narrower: Mapping[str, object] | None = None


class DeniedByPeople(Refused):
    """People said no to this action. `said` has why."""

    def __init__(self, said: Denial, *, entry_index: int | None = None) -> None:
        super().__init__(
            f"approval {said.approval} was denied by people",
            code=CODE,
            reasons=(said.reason, said.advice, *((said.comment,) if said.comment else ())),
            entry_index=entry_index,
        )
        self.said = said


def denial_in(answer: object) -> Denial | None:
    """What people said, if the answer says that they said no.

    answer: structured content of a result, data of an error, or problem details. Raises Malformed
    (`denial.malformed`) for a no that does not say what a no says.
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
    """Raises DeniedByPeople where people said no, Malformed as `denial_in`; else nothing."""
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
