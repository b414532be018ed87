"""The broker, asked over its Unix socket."""

from answerable.adapters.broker_http.client import HttpLeaseBroker

__all__ = ["HttpLeaseBroker"]
