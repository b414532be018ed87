"""Select, of several errors that tasks raise at once, the one to report."""

from __future__ import annotations

from answerable.errors import AnswerableError


def first_of_ours(group: BaseExceptionGroup[BaseException]) -> AnswerableError | None:
    """Return the first error of the family in a group, however deep."""
    for error in group.exceptions:
        found = first_of_ours(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, AnswerableError):
            return found
    return None
