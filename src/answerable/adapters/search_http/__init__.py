"""Ask the process that answers searches, over its Unix socket."""

from answerable.adapters.search_http.client import HttpSearchProcess

__all__ = ["HttpSearchProcess"]
