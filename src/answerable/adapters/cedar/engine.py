"""The call into Cedar, in two forms that answer alike.

The raw form uses cedarpy's private entry point: EUIDs as dicts, context as JSON text, result as JSON text, at half the
price of the public one. `fastest_engine` takes it only when it answers like the public form in this very process.
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
"""Binds a policy set and the JSON text of its entities; the rest comes with each request."""

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
    """cedarpy's private `is_authorized`, pinned with the version of cedarpy."""
    entities = _internal.Entities.from_json_str(entities_json)
    is_authorized = _internal.is_authorized
    decode = _RESULT.decode

    def evaluate(request: CedarRequest) -> Evaluation:
        result = decode(is_authorized(request, policies, entities))
        return evaluation(result.decision, result.diagnostics.reason, result.diagnostics.errors)

    return evaluate


def public_engine(policies: cedarpy.PolicySet, entities_json: str) -> Evaluate:
    """cedarpy's public `is_authorized`."""
    entities = cedarpy.Entities.from_json_str(entities_json)

    def evaluate(request: CedarRequest) -> Evaluation:
        result = cedarpy.is_authorized(request, policies, entities)
        return evaluation(result.decision.value, result.diagnostics.reasons, result.diagnostics.errors)

    return evaluate


def evaluation(decision: str, reasons: list[str], errors: list[str]) -> Evaluation:
    """Read one answer. Anything but a clean Allow or Deny has errors, so that it can only end in a deny."""
    if not errors:
        if len(reasons) > 1:
            # Cedar gives them in the order of a hash table.
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
    """The raw engine if it allows, denies, errs and refuses as the public one does; else the public one."""
    try:
        alike = _probed(raw_engine) == _probed(public_engine)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        # A panic inside the extension is a BaseException; so is whatever a changed signature brings.
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
