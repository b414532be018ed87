"""For whom, for what, and how far: the signed task an agent acts under."""
