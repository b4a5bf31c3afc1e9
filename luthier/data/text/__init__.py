"""Texts: from files, through tokens, to rows."""
