"""Call the lease broker over its Unix socket."""

from answerable.adapters.broker_http.client import HttpLeaseBroker

__all__ = ["HttpLeaseBroker"]
