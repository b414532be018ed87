"""The MCP shim on the agent's machine: an MCP server over stdio that holds the key, so that the agent need not."""
