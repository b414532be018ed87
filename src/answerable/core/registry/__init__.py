"""The registry: who exists, who answers for it, and what may be done at all."""
