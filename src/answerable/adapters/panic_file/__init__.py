"""Implement the panic button as a file in the data directory."""

from answerable.adapters.panic_file.file import keep_ready, made, press, pressed
from answerable.adapters.panic_file.watch import PressWatch

__all__ = ["PressWatch", "keep_ready", "made", "press", "pressed"]
