"""Runs a Keras script of this folder on a backend, which Keras reads when it is imported.

python language_keras.py tensorflow language_keras_gpt.py …
"""

from __future__ import annotations

import os
import runpy
import sys

BACKENDS = ("jax", "tensorflow")

if __name__ == "__main__":
    backend, script, *rest = sys.argv[1:]
    assert backend in BACKENDS, backend
    os.environ["KERAS_BACKEND"] = backend
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.argv = [script, *rest]
    runpy.run_path(script, run_name="__main__")
