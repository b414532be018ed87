"""Issue leases by OpenBao or Vault: a child token per lease, and the dynamic credential that is created with it."""

from __future__ import annotations

from answerable.adapters.openbao.issuer import OpenBaoIssuer
from answerable.adapters.openbao.login import AppRole, JwtLogin, OpenBaoLogin

__all__ = ["AppRole", "JwtLogin", "OpenBaoIssuer", "OpenBaoLogin"]
