"""Public and private keys, and the signatures made with them."""
