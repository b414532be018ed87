"""Of the several errors that tasks end with at once, the one that people are told."""

from __future__ import annotations

from answerable.errors import AnswerableError


def first_of_ours(group: BaseExceptionGroup[BaseException]) -> AnswerableError | None:
    """The first error of the family in a group, however deep."""
    for error in group.exceptions:
        found = first_of_ours(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, AnswerableError):
            return found
    return None
