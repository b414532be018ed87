"""Issue leases on GitHub as installation tokens of an app, narrowed to repositories and permissions."""

from __future__ import annotations

from answerable.adapters.github_app.app_token import AppTokens
from answerable.adapters.github_app.issuer import TOKEN_SECONDS, GitHubIssuer

__all__ = ["TOKEN_SECONDS", "AppTokens", "GitHubIssuer"]
