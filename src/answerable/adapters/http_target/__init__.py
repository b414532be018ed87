"""Act on HTTP servers with OAuth tokens or the broker's standing secrets, limited to the requests that a lease
allows."""
