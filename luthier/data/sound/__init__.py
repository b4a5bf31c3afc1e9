"""Sounds: decoded, made into what a network reads, changed at random."""
