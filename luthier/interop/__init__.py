"""Foreign formats of models, read and written: nothing else in luthier knows their names."""
