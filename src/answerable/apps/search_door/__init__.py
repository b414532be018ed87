"""The socket of the process that answers searches."""
