"""Issue leases on Kubernetes: a service account per lease, with its own role and a short-lived token."""

from __future__ import annotations

from answerable.adapters.kubernetes_tokens.issuer import KubernetesIssuer
from answerable.adapters.kubernetes_tokens.scope import TOKEN_SECONDS_MIN

__all__ = ["TOKEN_SECONDS_MIN", "KubernetesIssuer"]
