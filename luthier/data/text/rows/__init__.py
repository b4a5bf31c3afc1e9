"""Rows of tokens, as a network reads them: packed, mixed, mapped into memory."""
