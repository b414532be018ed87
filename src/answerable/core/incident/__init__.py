"""What happened, told so that a person understands it."""
