"""Writes down what Hugging Face's own networks give: `huggingface_golden.json`.

Run where transformers and luthier are installed:

    PYTHONPATH=.:tests/model/families python tests/model/families/make_huggingface_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import torch
from huggingface_twins import TOKENS, TWINS, Twin, weight


def golden(transformers: ModuleType, twin: Twin) -> dict[str, object]:
    """The shapes of their weights, and what they give for `TOKENS`."""
    config_class = getattr(transformers, twin.theirs).config_class
    network = getattr(transformers, twin.theirs)(config_class(**twin.config)).double().eval()
    parameters = dict(network.named_parameters())
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(weight(name, tuple(tensor.shape)))
        output = getattr(network(torch.tensor(TOKENS)), twin.gives)
    shapes = {name: list(tensor.shape) for name, tensor in parameters.items()}
    return {"shapes": shapes, "gives": [round(value, 9) for value in output.flatten().tolist()]}


if __name__ == "__main__":
    # Here, since the tests' own environment has no transformers and still looks into this file.
    import transformers

    found = {name: golden(transformers, twin) for name, twin in TWINS.items()}
    about = {"transformers": transformers.__version__, "torch": torch.__version__, "twins": found}
    path = Path(__file__).with_name("huggingface_golden.json")
    path.write_text(json.dumps(about, separators=(",", ":")) + "\n")
