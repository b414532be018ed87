"""Offline checking by strangers: needs the core and what `pip install answerable` brings, and no server.

What another extra is needed for is told as not checked, with the line that installs it.
"""
