"""Take words and paths of the command line as they are.

Typer imports pydantic to convert any value, also one that is missing: a quarter of what a short command costs. Law: a
value becomes what Typer makes of it; what is no word, list of words or path is left to Typer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer import core
from typer._coercion import RuntimeParam, build_runtime_param
from typer._param_types import coerce_cli_path

if TYPE_CHECKING:
    from typer._coercion import TypeDescriptor


def convert_when_needed() -> None:
    """Have Typer import what converts values when a value has to be converted. Idempotent.

    The place is private to Typer, whose releases are pinned to one minor; options that it adds itself have no other.
    """
    vars(core)[build_runtime_param.__name__] = _as_typed


@dataclass(frozen=True)
class _AsTyped(RuntimeParam):
    descriptor: TypeDescriptor

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        if self.parameter_info.parser is None:
            if self.annotation is str and isinstance(value, str):
                return value
            if self.annotation == list[str] and all(isinstance(one, str) for one in value):
                return [*value]
            if self.annotation is Path and isinstance(value, str) and self.parameter_info.path_type is None:
                return coerce_cli_path(Path(value), self.parameter_info, path_type=Path, param=param, ctx=ctx)
        return build_runtime_param(self.descriptor).coerce(value, param=param, ctx=ctx)


def _as_typed(descriptor: TypeDescriptor) -> RuntimeParam:
    return _AsTyped(descriptor.parameter_info, descriptor.annotation, descriptor)
