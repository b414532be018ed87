"""Policy sets as they are declared, published and stored."""
