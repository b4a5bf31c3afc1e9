"""Data: from files, through pixels and splits, to batches."""

from __future__ import annotations

from luthier.data.sources import DataSpec

__all__ = ["DataSpec"]
