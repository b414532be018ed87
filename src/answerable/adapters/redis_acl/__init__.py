"""Issue ACL users as leases on Redis and Valkey, and offer commands as tools."""

from answerable.adapters.redis_acl.admin_account import RedisOwnAccount
from answerable.adapters.redis_acl.issuer import RedisIssuer
from answerable.adapters.redis_acl.rights import RedisRights
from answerable.adapters.redis_acl.server import RedisServer, address_faults
from answerable.adapters.redis_acl.target import RedisTarget

__all__ = [
    "RedisIssuer",
    "RedisOwnAccount",
    "RedisRights",
    "RedisServer",
    "RedisTarget",
    "address_faults",
]
