"""Cedar decides, through cedarpy: policy sets are published here, checked strictly, and evaluated by slices."""

from answerable.adapters.cedar.decision_point import CedarDecisionPoint, compiled
from answerable.adapters.cedar.publishing import CedarPolicySet, published

__all__ = ["CedarDecisionPoint", "CedarPolicySet", "compiled", "published"]
