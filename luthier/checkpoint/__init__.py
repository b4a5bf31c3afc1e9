"""What a run leaves on the disk: checkpoints, finished models, and the lock that guards them."""
