"""What this machine has, as a run's report and `luthier doctor` tell it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from pathlib import Path
from typing import Any

import torch

from luthier.placement.device import best_device, has_bf16

EXTRAS = {"track": ("tensorboard", "wandb", "mlflow")}
"""The optional extras, and the packages that each is made of."""


def machine() -> dict[str, dict[str, Any]]:
    """The facts of this machine, in groups: software, cpu, gpu, memory, extras.

    Sizes are in bytes.
    """
    return {
        "software": {
            "luthier": importlib.metadata.version("luthier"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "system": platform.platform(),
        },
        "cpu": {
            "name": _cpu_name(),
            "cores": usable_cores(),
            "vectors": torch.backends.cpu.get_cpu_capability(),
            "bf16": has_bf16("cpu"),
        },
        "gpu": _gpu(),
        "memory": {"total_bytes": _memory_bytes(), "disk_free_bytes": _disk_free_bytes()},
        "use": {
            "device": best_device(),
            "precision": "bf16" if has_bf16(best_device()) else "fp32",
        },
        "extras": {
            name: {package: installed(package) for package in packages}
            for name, packages in EXTRAS.items()
        },
    }


def usable_cores() -> int:
    """The cores that this process may run on."""
    if platform.system() == "Linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed(package: str) -> bool:
    """Whether `package` could be imported."""
    return importlib.util.find_spec(package) is not None


def _gpu() -> dict[str, Any]:
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return {
            "name": properties.name,
            "count": torch.cuda.device_count(),
            "memory_bytes": properties.total_memory,
            "bf16": has_bf16("cuda"),
        }
    if torch.backends.mps.is_available():
        return {"name": "Apple (mps)", "count": 1, "bf16": has_bf16("mps")}
    return {"name": None, "count": 0}


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _disk_free_bytes() -> int:
    status = os.statvfs(".")
    return status.f_bavail * status.f_frsize
