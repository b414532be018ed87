"""Parse the risk factors of a PolicySet document: the fact of each, and its comparison.

Laws: a comparison fits the fact; a factor that could never give points is a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from answerable.core.registry.documents.capability import Sensitivity
from answerable.core.registry.documents.documents import DELEGATION_DEPTH_MAX
from answerable.core.registry.documents.fields import matching
from answerable.core.registry.documents.policy_parts import POINTS_MAX, FactorFact, RiskFactor
from answerable.core.registry.parsing.spec_parts import checked_part_name, known_word, one_of
from answerable.core.registry.parsing.spec_shared import ARGUMENT_NAME, INTEGER_MAX, name_of, on_one_line
from answerable.errors.codes.documents import DOCUMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from answerable.core.registry.documents.fields import Fields

FACTOR_KEYS: Final = ("name", "points", "fact", "of", "atLeast", "atMost", "oneOf")
ONE_OF_MAX: Final = 100

Comparison = Literal["number", "text", "truth"]

_CODE: Final = "policy_set.risk"
_BOUNDS: Final = ("atLeast", "atMost")
_HOW: Final[dict[Comparison, str]] = {
    "number": "by `atLeast`, `atMost` or both",
    "text": "by `oneOf`",
    "truth": "with nothing, for it is true or not",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """What a kind of fact permits. by: permitted comparisons. of: what `of` names; empty for nothing. low, high: range
    of the number."""

    by: tuple[Comparison, ...]
    of: str = ""
    of_check: Callable[[str], object] | None = None
    low: int = -INTEGER_MAX
    high: int = INTEGER_MAX
    text_check: Callable[[str], object] = on_one_line


_FACTS: Final[dict[FactorFact, _Fact]] = {
    "argument": _Fact(
        by=("number", "text", "truth"), of="argument", of_check=matching(ARGUMENT_NAME, "an argument name")
    ),
    "history": _Fact(by=("number",), of="tracker", of_check=checked_part_name),
    "window": _Fact(by=("truth",), of="window", of_check=checked_part_name),
    "destination_class": _Fact(by=("text",), text_check=checked_part_name),
    "tier": _Fact(by=("number",), low=0, high=3),
    "sensitivity": _Fact(by=("text",), text_check=known_word(get_args(Sensitivity))),
    "environment": _Fact(by=("text",), text_check=name_of("environment")),
    "irreversible": _Fact(by=("truth",)),
    "drifted": _Fact(by=("truth",)),
    "hops": _Fact(by=("number",), low=0, high=DELEGATION_DEPTH_MAX),
    "budget_left_percent": _Fact(by=("number",), low=0, high=100),
}


def factor_in(item: Fields, name: str) -> RiskFactor:
    """Read one factor. Records faults, and never raises."""
    points = item.integer("points", minimum=1, maximum=POINTS_MAX)
    word = one_of(item, "fact", tuple(_FACTS))
    if word is None:
        return RiskFactor(name=name, points=points, fact="drifted")
    fact = _FACTS[word]
    if fact.of:
        of = item.text("of", check=fact.of_check)
    else:
        of = ""
        if item.has("of"):
            item.fault(f"`of` is not allowed with `{word}`", "of", code=_CODE)
    if not _fits(item, word, fact):
        return RiskFactor(name=name, points=points, fact=word, of=of)
    least, most = (
        item.integer(key, minimum=fact.low, maximum=fact.high) if item.has(key) else None for key in _BOUNDS
    )
    if least is not None and most is not None and least > most:
        item.fault("`atMost` is less than `atLeast`, so no value satisfies both", "atMost", code=_CODE)
    texts = item.texts("oneOf", check=fact.text_check)
    count = item.count("oneOf")
    if count is not None and not 1 <= count <= ONE_OF_MAX:
        item.fault(f"expected 1 to {ONE_OF_MAX} texts", "oneOf", code=DOCUMENT_SIZE.id)
    return RiskFactor(name=name, points=points, fact=word, of=of, at_least=least, at_most=most, one_of=texts)


def comparison_of(factor: RiskFactor) -> Comparison:
    """Return the kind of comparison of a factor."""
    if factor.one_of:
        return "text"
    return "truth" if factor.at_least is None and factor.at_most is None else "number"


def _fits(item: Fields, word: str, fact: _Fact) -> bool:
    """Whether exactly one comparison is written, and fits the fact."""
    written: list[Comparison] = ["number"] if any(item.has(key) for key in _BOUNDS) else []
    written += ["text"] if item.has("oneOf") else []
    if len(written) > 1:
        item.fault(
            "a factor makes one comparison: `oneOf` is for texts, the others for numbers", "oneOf", code=_CODE
        )
        return False
    if (written or ["truth"])[0] in fact.by:
        return True
    item.fault(f"`{word}` is compared {_HOW[fact.by[0]]}", code=_CODE)
    return False
