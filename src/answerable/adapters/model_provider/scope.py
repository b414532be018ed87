"""Parse the scope of a model lease: which models it may call, and how long each answer may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.errors.codes.leases import LEASE_SCOPE

if TYPE_CHECKING:
    from answerable.core.canonical import FrozenJSON

MODELS_MAX: Final = 64
MODEL_CHARS_MAX: Final = 256
TOKENS_MAX: Final = 10_000_000
_MEMBERS: Final = frozenset({"models", "max_tokens", "tools"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScope:
    """A parsed scope. models: exact names of the provider. max_tokens: limit of one answer. tools: whether tools may be
    offered to the model."""

    models: tuple[str, ...]
    max_tokens: int = TOKENS_MAX
    tools: bool = True


def model_scope(scope: FrozenJSON) -> ModelScope:
    """Parse a scope. Raises Refused (`lease.scope`) with all faults."""
    if faults := scope_faults(scope):
        raise LEASE_SCOPE(faults[0], reasons=faults)
    said = scope.thaw()
    assert isinstance(said, dict)  # noqa: S101 - without faults it is one
    models = said["models"]
    assert isinstance(models, list)  # noqa: S101 - the same
    most = said.get("max_tokens", TOKENS_MAX)
    return ModelScope(
        models=tuple(sorted({str(one) for one in models})),
        max_tokens=most if isinstance(most, int) else TOKENS_MAX,
        tools=said.get("tools", True) is True,
    )


def scope_faults(scope: FrozenJSON) -> tuple[str, ...]:
    """Return the faults of a scope; empty if it is valid."""
    said = scope.thaw()
    if not isinstance(said, dict):
        return ("a scope of a model provider is an object with `models`",)
    faults = [f"unknown member {shown(name)}" for name in sorted(said.keys() - _MEMBERS)]
    models = said.get("models")
    if not isinstance(models, list) or not 1 <= len(models) <= MODELS_MAX or not all(map(is_model, models)):
        faults.append(f"`models` is a list of 1 to {MODELS_MAX} names of models, without blanks")
    most = said.get("max_tokens", 1)
    if type(most) is not int or not 1 <= most <= TOKENS_MAX:
        faults.append(f"`max_tokens` is a whole number from 1 to {TOKENS_MAX}")
    if not isinstance(said.get("tools", True), bool):
        faults.append("`tools` is true or false")
    return tuple(faults)


def is_model(name: object) -> bool:
    """Whether this can be a model's name: one word of printable ASCII. `*` is allowed as a name and matches no
    model."""
    return (
        isinstance(name, str)
        and 1 <= len(name) <= MODEL_CHARS_MAX
        and name.isascii()
        and name.isprintable()
        and " " not in name
    )
