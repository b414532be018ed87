"""The door for agents: MCP over HTTP, every message proved, every effect governed."""
