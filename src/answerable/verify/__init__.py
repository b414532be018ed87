"""Offline checking by strangers: needs the core, the standard library and `cryptography`, and no server."""
