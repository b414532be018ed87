"""Fetch the public keys of OpenID issuers over HTTPS, and run sign-ins at OpenID providers."""

from __future__ import annotations

from answerable.adapters.oidc.code_flow import OidcCodeFlow
from answerable.adapters.oidc.issuer_keys import HttpIssuerKeys
from answerable.adapters.oidc.sources import IssuerSource, issuer_source

__all__ = ["HttpIssuerKeys", "IssuerSource", "OidcCodeFlow", "issuer_source"]
