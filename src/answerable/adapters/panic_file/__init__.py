"""The panic button as a file of the data directory."""

from answerable.adapters.panic_file.file import keep_ready, press, pressed

__all__ = ["keep_ready", "press", "pressed"]
