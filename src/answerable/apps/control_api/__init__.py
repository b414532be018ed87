"""The control API: the flows over HTTP on a Unix socket, for people and their tools."""
