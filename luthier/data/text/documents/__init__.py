"""Documents to learn a language from: read once, tokenized, kept on disk."""
