"""Leases on Kubernetes: a service account for each, with a role of its own and a short token."""

from __future__ import annotations

from answerable.adapters.kubernetes_tokens.issuer import KubernetesIssuer
from answerable.adapters.kubernetes_tokens.scope import TOKEN_SECONDS_MIN

__all__ = ["TOKEN_SECONDS_MIN", "KubernetesIssuer"]
