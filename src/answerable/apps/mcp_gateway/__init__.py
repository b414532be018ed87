"""The MCP gateway for agents: MCP over HTTP, every message authenticated, every effect governed."""
