"""Issue leases on MariaDB as one account each, and run an agent's statements in sessions of that account."""

from answerable.adapters.mariadb_accounts.admin import AdminConnections
from answerable.adapters.mariadb_accounts.admin_account import MariadbOwnAccount
from answerable.adapters.mariadb_accounts.issuer import MariadbIssuer
from answerable.adapters.mariadb_accounts.rights import MariadbRights
from answerable.adapters.mariadb_accounts.target import MariadbTarget

__all__ = [
    "AdminConnections",
    "MariadbIssuer",
    "MariadbOwnAccount",
    "MariadbRights",
    "MariadbTarget",
]
