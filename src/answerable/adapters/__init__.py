"""Technologies, one package a product. They never import one another; only wiring and testing know them."""
