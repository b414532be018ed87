"""Commands of Typer that take ids as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperOption

from answerable.apps.cli.dashed_ids import with_ids_last

if TYPE_CHECKING:
    from collections.abc import Sequence


class IdCommand(TyperCommand):
    """A command that takes an id which begins with `-` wherever it takes an argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts arguments behind the options where one of them is such an id; leaves every other line alone."""
        return list(super().parse_args(ctx, with_ids_last(args, _with_values(self.params))))


def _with_values(parameters: Sequence[object]) -> frozenset[str]:
    """Spellings of the options that have a value."""
    options = [one for one in parameters if isinstance(one, TyperOption) and not one.is_flag]
    return frozenset(name for one in options for name in one.opts)
