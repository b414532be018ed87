"""Declare the operations of the control API: routes, OpenAPI document and typed client are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_args, get_origin

from answerable.api.members import Component, Page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from answerable.apps.control_api.call import Call
    from answerable.apps.control_api.schemas import Schema

    Query: TypeAlias = tuple[tuple[str, Schema, str], ...]
    """Query parameters: names, each with schema and description."""

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the route table. answer, body: names of schema components; `page`: whether the answer is a page of
    `answer`.

    types: of answer and body, where the operation declares them; shape: the answer's type, or a page of it. is_long:
    the server takes long to compute the answer. of_index: it asks the process that keeps the index, for a bounded time.
    """

    id: str
    method: str
    path: str
    summary: str
    answer: str
    run: Callable[[Call], Awaitable[object]]
    body: str = ""
    page: bool = False
    query: Query = ()
    types: tuple[type[Component], ...] = ()
    shape: Any = None
    is_long: bool = False
    of_index: bool = False


def operation(
    method: str,
    path: str,
    *,
    id: str,
    summary: str,
    answer: type[A],
    body: type[Component] | None = None,
    query: Query = (),
    is_long: bool = False,
    of_index: bool = False,
) -> Callable[[Callable[[Call], Awaitable[A]]], Operation]:
    """Make a handler the operation `id`. answer: a component, or a `Page` of one.

    Raises TypeError when the module is imported if it is neither.
    """
    page = get_origin(answer) is Page
    shown = get_args(answer)[0] if page else answer
    if not (isinstance(shown, type) and issubclass(shown, Component)):
        raise TypeError(f"expected a component as the answer of {id}, got {shown}")

    def declare(run: Callable[[Call], Awaitable[A]]) -> Operation:
        return Operation(
            id=id,
            method=method,
            path=path,
            summary=summary,
            answer=shown.__name__,
            run=run,
            body=body.__name__ if body else "",
            page=page,
            query=query,
            types=(shown, *([body] if body else [])),
            shape=answer,
            is_long=is_long,
            of_index=of_index,
        )

    return declare
