"""Port: a system that mints credentials for one lease and takes them back by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from answerable.core.identity.names.principal import UnixMillis
    from answerable.core.lease.credential import Credential, IssuerTraits, LeaseOrder, Revoked
    from answerable.core.lease.name import LeaseName
    from answerable.core.lease.scope import Scope

PORT = "credential_issuer"


class CredentialIssuer(Protocol):
    """Promises: a credential may do what its scope says and nothing else, and who keeps it to that is in `traits`; it
    is known at the target by a name that follows from the lease's, so that whatever `issue` may have left behind, done,
    failed or cut off, `revoke` of that name takes away. Concurrent leases do not meet. One lease is issued once.

    Secrets are in the answer of `issue` and nowhere else: not in errors, logs, arguments of processes, nor in
    statements that the target logs where there is another way; where there is none, the issuer's page says so.

    Every call ends within the issuer's own limits, and after a cancellation nothing of it goes on. Raises only
    Unavailable (`lease.target`, with effect `none` or `unknown`) and what is named.
    """

    @property
    def traits(self) -> IssuerTraits:
        """What it can and cannot do. Does not change."""
        ...

    def faults(self, scope: Scope) -> tuple[str, ...]:
        """Why this scope cannot be granted, in words that say what to write; empty when it can. No I/O. Whatever it
        does not know whole is a fault."""
        ...

    async def issue(self, order: LeaseOrder) -> Credential:
        """Mint it. Raises Refused: `lease.scope` with the faults, `lease.taken` when the name is in use at the target,
        whose holder then keeps what it has; Unavailable."""
        ...

    async def renew(self, name: LeaseName, expires_at: UnixMillis) -> None:
        """Let it live until then, never shorter than it did. Raises Refused (`lease.gone`, `lease.renewal` where it
        cannot be renewed), Unavailable."""
        ...

    async def revoke(self, name: LeaseName) -> Revoked:
        """Take it away: first what it may do, then what is open with it, then itself. When it returns, nothing of it
        works but what the answer names. Idempotent; of a name that nobody issued it says that all is gone."""
        ...

    async def live(self) -> tuple[LeaseName, ...]:
        """The names of every lease that the target still knows, ours alone, also of those of another process's."""
        ...

    async def granted(self, name: LeaseName) -> tuple[str, ...]:
        """What the target itself says this lease may do, one right a line, sorted: to compare with the scope. Empty for
        one that is gone. Raises Refused (`lease.untold`) where the target cannot say."""
        ...

    async def close(self) -> None:
        """Let go of the connections that are kept warm; leases stay as they are. Idempotent, and raises nothing, also
        where the target is away. Whatever is asked afterwards opens its own again."""
        ...
