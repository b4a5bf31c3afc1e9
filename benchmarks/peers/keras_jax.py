"""Keras on JAX."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import keras_fit  # after the lines above, for Keras reads its backend when it is imported

if __name__ == "__main__":
    keras_fit.main()
