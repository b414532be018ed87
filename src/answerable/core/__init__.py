"""The domain model: values and rules. Pure code below this package: no clock, entropy, I/O, environment, logging or
async."""
