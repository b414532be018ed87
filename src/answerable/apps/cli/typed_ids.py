"""Typer commands that accept ids beginning with `-` as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperOption

from answerable.apps.cli.dashed_ids import with_ids_last

if TYPE_CHECKING:
    from collections.abc import Sequence


class IdCommand(TyperCommand):
    """A command that accepts an id beginning with `-` as an argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move arguments behind the options if one of them is such an id; leave every other line unchanged."""
        return list(super().parse_args(ctx, with_ids_last(args, _with_values(self.params))))


def _with_values(parameters: Sequence[object]) -> frozenset[str]:
    """Return the spellings of the options that take a value."""
    options = [one for one in parameters if isinstance(one, TyperOption) and not one.is_flag]
    return frozenset(name for one in options for name in one.opts)
