"""Who is calling, and how it was proved."""
