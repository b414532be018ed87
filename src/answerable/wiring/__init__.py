"""Assemble the product: from settings to adapters and ready flows. The only package that imports
adapters."""
