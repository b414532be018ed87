"""Tool definitions of upstream servers: digests, pins, hints and differences."""
