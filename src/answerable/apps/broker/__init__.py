"""The broker's door: one MCP server for each target, and the control of leases, on one Unix socket."""
