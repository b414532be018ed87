"""Decide actions with the Cedar policy engine (cedarpy): publish policy sets, validate them strictly and evaluate them
by slices."""

from answerable.adapters.cedar.decision_point import CedarDecisionPoint, compiled
from answerable.adapters.cedar.publishing import CedarPolicySet, published

__all__ = ["CedarDecisionPoint", "CedarPolicySet", "compiled", "published"]
