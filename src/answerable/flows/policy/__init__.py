"""Publishing, simulating, replaying policy sets."""
