"""Hugging Face folders in and out: config.json, safetensors, tokenizer.json; a file a family."""
