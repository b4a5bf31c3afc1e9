"""Series: what was measured over time, cut into windows of a past and the future behind it."""
