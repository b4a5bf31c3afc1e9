"""Which weights of a trained network move: adapters, transforms of a finished network."""
