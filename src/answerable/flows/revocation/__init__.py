"""End mandates, instances, leases and authority, place holds, and cut calls in flight."""
