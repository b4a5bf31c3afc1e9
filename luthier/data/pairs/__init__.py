"""Pairs of texts: a source, and what is to be written of it."""
