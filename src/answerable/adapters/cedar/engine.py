"""Call Cedar through cedarpy, by its public or its private entry point; both give the same answers.

The private entry point takes EUIDs as dicts and the context as JSON text and returns JSON text, in half the time of the
public one. `fastest_engine` selects it only if it answers like the public one in this process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import cedarpy
import msgspec
from cedarpy import _internal

from answerable.core.decision.decision import Evaluation

CedarRequest: TypeAlias = "dict[str, object]"
Evaluate: TypeAlias = Callable[[CedarRequest], Evaluation]
Engine: TypeAlias = Callable[[cedarpy.PolicySet, str], Evaluate]
"""Binds a policy set and the JSON text of its entities; the rest of the input is in each request."""

ERRORS_KEPT_MAX: Final = 8
ERROR_CHARS_MAX: Final = 300


class _Diagnostics(msgspec.Struct):
    reason: list[str] = []
    errors: list[str] = []


class _Result(msgspec.Struct):
    decision: str
    diagnostics: _Diagnostics


_RESULT: Final = msgspec.json.Decoder(_Result)


def raw_engine(policies: cedarpy.PolicySet, entities_json: str) -> Evaluate:
    """Evaluate with cedarpy's private `is_authorized`, which is why cedarpy's version is pinned."""
    entities = _internal.Entities.from_json_str(entities_json)
    is_authorized = _internal.is_authorized
    decode = _RESULT.decode

    def evaluate(request: CedarRequest) -> Evaluation:
        result = decode(is_authorized(request, policies, entities))
        return evaluation(result.decision, result.diagnostics.reason, result.diagnostics.errors)

    return evaluate


def public_engine(policies: cedarpy.PolicySet, entities_json: str) -> Evaluate:
    """Evaluate with cedarpy's public `is_authorized`."""
    entities = cedarpy.Entities.from_json_str(entities_json)

    def evaluate(request: CedarRequest) -> Evaluation:
        result = cedarpy.is_authorized(request, policies, entities)
        return evaluation(result.decision.value, result.diagnostics.reasons, result.diagnostics.errors)

    return evaluate


def evaluation(decision: str, reasons: list[str], errors: list[str]) -> Evaluation:
    """Convert one answer of Cedar. Anything but a clean Allow or Deny gets errors, and so results in a deny."""
    if not errors:
        if len(reasons) > 1:
            # Cedar returns them in hash order.
            reasons.sort()
        if decision == "Allow" and reasons:
            return Evaluation(allowed=True, determining=tuple(reasons))
        if decision == "Deny":
            return Evaluation(allowed=False, determining=tuple(reasons))
        errors = [f"no decision: {decision}"]
    kept = sorted(" ".join(error.split())[:ERROR_CHARS_MAX] for error in errors)[:ERRORS_KEPT_MAX]
    return Evaluation(allowed=False, determining=(), errors=tuple(kept))


_PROBE_POLICIES: Final = """
permit(principal == A::"a", action, resource);
forbid(principal, action, resource) when { context.stop };
"""
_PROBES: Final = (
    ("a", '{"stop": false}'),
    ("a", '{"stop": true}'),
    ("b", '{"stop": false}'),
    ("a", "{}"),
    ("a", '{"stop": 1.5}'),
)


def fastest_engine() -> Engine:
    """Return the raw engine if it allows, denies, fails and refuses exactly like the public engine on the probes; else
    the public engine."""
    try:
        alike = _probed(raw_engine) == _probed(public_engine)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        # A panic inside the extension is a BaseException; a changed signature can raise anything.
        alike = False
    return raw_engine if alike else public_engine


def _probed(engine: Engine) -> list[Evaluation]:
    evaluate = engine(cedarpy.PolicySet.from_str(_PROBE_POLICIES), "[]")
    action = {"type": "Action", "id": "x"}
    resource = {"type": "R", "id": "r"}
    return [
        evaluate(
            {
                "principal": {"type": "A", "id": principal},
                "action": action,
                "resource": resource,
                "context": context,
            }
        )
        for principal, context in _PROBES
    ]
