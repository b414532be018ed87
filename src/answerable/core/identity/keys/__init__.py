"""Keys and signatures in the forms that arrive."""
