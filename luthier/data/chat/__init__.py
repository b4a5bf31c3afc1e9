"""Conversations: read in the formats of the field, rendered by templates, learned from."""
