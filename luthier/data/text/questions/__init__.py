"""Questions and the contexts that answer them: read, cut in windows, encoded."""
