"""Issue PostgreSQL credentials: a role for each lease, and sessions that are logged in as that role."""

from answerable.adapters.postgres_roles.admin_account import PostgresOwnAccount
from answerable.adapters.postgres_roles.connections import AdminConnections
from answerable.adapters.postgres_roles.issuer import PostgresIssuer
from answerable.adapters.postgres_roles.rights import PostgresRights
from answerable.adapters.postgres_roles.target import PostgresTarget

__all__ = [
    "AdminConnections",
    "PostgresIssuer",
    "PostgresOwnAccount",
    "PostgresRights",
    "PostgresTarget",
]
