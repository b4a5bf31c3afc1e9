"""Tasks: what is learned, by objective and not by modality."""

from __future__ import annotations

from luthier.tasks.classify import ClassifySpec

TaskSpec = ClassifySpec
"""Every task that a recipe can name."""
