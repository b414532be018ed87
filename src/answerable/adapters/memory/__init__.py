"""Implement ports in memory, with the same promises and refusals as other adapters; nothing survives the process."""
