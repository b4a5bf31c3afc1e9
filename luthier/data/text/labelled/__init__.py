"""Texts with labels or tags: found, numbered, encoded."""
