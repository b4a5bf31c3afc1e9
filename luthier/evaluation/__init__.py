"""How well a finished network does, kept example by example so that runs can be compared."""
