"""The command line: one file for each stage of work."""
