"""Tokens: what a text is divided into, how a tokenizer is learned, and text out of tokens again."""
