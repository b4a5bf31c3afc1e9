"""Pages for people: one run, or several side by side; each page is one file that needs no other."""
