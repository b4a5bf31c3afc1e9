"""How well it did, in numbers: pure functions of arrays."""
