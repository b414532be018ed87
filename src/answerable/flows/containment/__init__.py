"""Stop an agent, place the panic hold, lift and follow holds, and report what a stop reached."""
