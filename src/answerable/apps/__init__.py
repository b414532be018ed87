"""Doors: parse, call a flow, render. They never import one another."""
