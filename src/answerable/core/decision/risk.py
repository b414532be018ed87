"""Compute the transaction risk: a sum of declared points, each for one comparison of a fact that policy sees too.

Laws: the same facts give the same score; all points carry the name of their factor; a fact that the caller left out
gives no points, a fact that should have been gathered and is missing raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from answerable.core.registry.documents.policy_parts import RiskFactor

Context: TypeAlias = "Mapping[str, Any]"


def risk_of(factors: tuple[RiskFactor, ...], context: Context) -> dict[str, object]:
    """Return the members of `context.risk`: `score`, and the `factors` that gave points.

    context: all other members of the context. Raises LookupError for a fact that was not gathered.
    """
    met = [factor for factor in factors if _met(factor, _FACTS[factor.fact](context, factor.of))]
    return {"factors": [factor.name for factor in met], "score": sum(factor.points for factor in met)}


def _met(factor: RiskFactor, value: object) -> bool:
    match value:
        case bool():
            return value
        case int():
            low = factor.at_least is not None and value < factor.at_least
            high = factor.at_most is not None and value > factor.at_most
            return not low and not high
        case str():
            return value in factor.one_of
        case [*texts]:
            return any(text in factor.one_of for text in texts)
    return False


_FACTS: Final[dict[str, Callable[[Context, str], object]]] = {
    "argument": lambda context, name: context["arguments"].get(name),
    "history": lambda context, name: context["history"][name],
    "window": lambda context, name: context["windows"][name],
    "destination_class": lambda context, _: context["destination"]["classes"],
    "tier": lambda context, _: context["capability"]["tier"],
    "sensitivity": lambda context, _: context["capability"]["sensitivity"],
    "environment": lambda context, _: context["capability"]["environment"],
    "irreversible": lambda context, _: not context["capability"]["reversible"],
    "drifted": lambda context, _: context["agent"]["drifted"],
    "hops": lambda context, _: context["chain"]["depth"],
    "budget_left_percent": lambda context, _: context["budget"]["left_percent"],
}
