"""Model providers: language models behind a key that the broker alone has, counted in tokens and money."""
