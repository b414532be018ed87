"""Port: a system that mints credentials for one lease and revokes them by the lease's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import Credential, IssuerTraits, LeaseOrder, Revoked
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope

PORT = "credential_issuer"


class CredentialIssuer(Protocol):
    """Promises: a credential allows what its scope says and nothing else, and `traits` says which party enforces that;
    the credential's name at the target is derived from the lease's name, so that `revoke` of that name removes whatever
    `issue` may have left, completed, failed or interrupted. Concurrent leases do not interfere. One lease is issued
    once.

    Secrets are in the result of `issue` and nowhere else: not in errors, logs, process arguments, nor in statements
    that the target logs where there is another way; where there is none, the issuer's page says so.

    Every call ends within the issuer's own limits, and a cancelled call leaves nothing running. Raises only Unavailable
    (`lease.target`, with effect `none` or `unknown`) and the errors named below.
    """

    @property
    def traits(self) -> IssuerTraits:
        """What the issuer can and cannot do. Constant."""
        ...

    def faults(self, scope: Scope) -> tuple[str, ...]:
        """Return why this scope cannot be granted, in words that say what to write instead; empty when it can. No I/O.
        Anything in the scope that the issuer does not fully understand is a fault."""
        ...

    async def issue(self, order: LeaseOrder) -> Credential:
        """Mint the credential. Raises Refused: `lease.scope` with the faults, `lease.taken` when the name is in use at
        the target, whose holder then keeps its credential; Unavailable."""
        ...

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Extend the credential to `expires_at`, never shortening it. Raises Refused (`lease.gone`, `lease.renewal`
        where it cannot be renewed), Unavailable."""
        ...

    async def revoke(self, name: LeaseName) -> Revoked:
        """Revoke the credential: first its rights, then its open sessions, then the credential itself. When this
        returns, nothing of it works except what the answer names. Idempotent; for a name never issued, the answer says
        that nothing is left."""
        ...

    async def live(self) -> tuple[LeaseName, ...]:
        """List the names of all our leases that the target still knows, including those of other processes."""
        ...

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """List the rights that the target itself reports for this lease, one a line, sorted, to compare with the scope.
        Empty for a removed lease. Raises Refused (`lease.untold`) where the target cannot report them."""
        ...

    async def close(self) -> None:
        """Close the pooled connections; leases stay valid. Idempotent. Raises nothing, also where the target is
        unreachable. A later call opens its own connection."""
        ...
