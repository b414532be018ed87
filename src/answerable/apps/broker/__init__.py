"""The broker's listener: one MCP server per target and the lease control API, on one Unix socket."""
