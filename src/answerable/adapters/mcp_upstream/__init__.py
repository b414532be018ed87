"""Connect to MCP servers as upstreams: one supervised connection each, over stdio or streamable HTTP."""
