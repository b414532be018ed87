"""The door at which a chat says that somebody clicked."""
