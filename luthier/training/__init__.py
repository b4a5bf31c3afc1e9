"""Training: the loop, and what moves the weights."""
