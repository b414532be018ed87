"""What an agent sends with a call beside its arguments: its protocol version, and who it is."""

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "scout", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
