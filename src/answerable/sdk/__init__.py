"""What an agent's author and a person who signs import: no server in it."""
