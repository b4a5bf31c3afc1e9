"""Readers: one family of formats a file, each with its settings."""
