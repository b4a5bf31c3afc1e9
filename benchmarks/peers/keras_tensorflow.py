"""Keras on TensorFlow."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras_fit  # after the lines above, for Keras reads its backend when it is imported

if __name__ == "__main__":
    keras_fit.main()
