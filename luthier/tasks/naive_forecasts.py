"""Forecasts that need no network: what every network is measured beside.

Dimension key, for the whole file:
    B  windows      L  steps that are read      H  steps that are forecast      T  targets
"""

from __future__ import annotations

import torch
from torch import Tensor


def naive_forecasts(read_BLT: Tensor, horizon: int, season: int) -> dict[str, Tensor]:
    """`repeat_last`, the last value at each step; and `seasonal_naive`, the last season over and
    over, where there is a season and a whole one was read.

    Source:
        Hyndman and Athanasopoulos 2021, "Forecasting: Principles and Practice", section 5.2.

    Example:
        >>> read = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1)
        >>> found = naive_forecasts(read, horizon=3, season=2)
        >>> {name: values.flatten().tolist() for name, values in found.items()}
        {'repeat_last': [4.0, 4.0, 4.0], 'seasonal_naive': [3.0, 4.0, 3.0]}
    """
    steps = read_BLT.shape[1]
    found = {"repeat_last": read_BLT[:, -1:].expand(-1, horizon, -1)}
    if 1 < season <= steps:
        places_H = steps - season + torch.arange(horizon) % season
        found["seasonal_naive"] = read_BLT[:, places_H]
    return found
