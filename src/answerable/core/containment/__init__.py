"""Containment: holds and their scope, stop rules, the panic button, and drills."""
