"""BART: theirs in our network gives what it gives in transformers, ours as a folder too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

import transformers
from foreign import difference
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import luthier
from luthier.cli.app import run as main
from luthier.errors import InputError
from luthier.interop.huggingface.folder import CONFIG, GENERATION, TOKENIZER, WEIGHTS
from luthier.interop.huggingface.read import Pretrained, read_pretrained
from luthier.interop.huggingface.write import write_pretrained
from luthier.model.stream import Source
from luthier.placement.place import PlacementSpec, place
from luthier.recipe import Recipe
from luthier.run.check import check_recipe
from luthier.run.finished import Run
from luthier.run.source import find_model
from luthier.tasks.beam import Search, beam_search

ENOUGH = 1e-5
EXACT = PlacementSpec(device="cpu", precision="fp32", layout="channels_first", threads=1)
WORDS = ("<s>", "<pad>", "</s>", "<unk>", "one", "two", "three", "four", "eins", "zwei", "drei")
SOURCES = torch.randint(4, 61, (3, 9), generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(4, 61, (3, 7), generator=torch.Generator().manual_seed(2))
SETTINGS = {
    "vocab_size": 61,
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 28,
    "max_position_embeddings": 16,
}


def random_network(**settings: Any) -> Any:
    """One of theirs: weights of norms and biases are random too."""
    kind = transformers.BartForConditionalGeneration
    network = kind(transformers.BartConfig(**{**SETTINGS, **settings})).eval()
    network.generation_config.forced_bos_token_id = 0
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in network.parameters():
            drawn = torch.randn(tensor.shape, generator=random)
            tensor.copy_(drawn * 0.3 if tensor.ndim > 1 else tensor + drawn * 0.1)
    return network


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "scaled"])
def theirs(request: pytest.FixtureRequest) -> Any:
    return random_network(scale_embedding=request.param)


@pytest.fixture(scope="module")
def folder(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a tokenizer of words, which frames a text as BART's does."""
    place = tmp_path_factory.mktemp("bart") / "theirs"
    theirs.save_pretrained(place)
    inner = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    # So that there are vectors for fewer than twice as many.
    inner.add_tokens([f"word{n}" for n in range(61 - len(WORDS))])
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    inner.save(str(place / TOKENIZER))
    return place


@pytest.fixture(scope="module")
def ours(folder: Path) -> Pretrained:
    return read_pretrained(folder)


@torch.no_grad()
def logits(network: Any) -> Tensor:
    found: Tensor = network(input_ids=SOURCES, decoder_input_ids=TOKENS).logits
    return found


@torch.no_grad()
def test_logits(theirs: Any, ours: Pretrained) -> None:
    got, wanted = ours.network(TOKENS, None, SOURCES), logits(theirs)
    assert difference(got, wanted) < ENOUGH * max(1.0, float(wanted.abs().max()))
    assert difference(ours.network(TOKENS, None, SOURCES.flip(1)), wanted) > 1e-2
    count = sum(parameter.numel() for parameter in ours.network.parameters())
    unreached = 2 * 2 * SETTINGS["d_model"]
    assert count == sum(p.numel() for p in theirs.parameters()) - unreached


@pytest.mark.parametrize("beams", [1, 2])
@torch.no_grad()
def test_it_writes_the_same(theirs: Any, ours: Pretrained, beams: int) -> None:
    assert ours.target.kind == "written"
    assert (ours.target.opening, ours.target.forced, ours.target.end) == (2, (0,), 2)
    search = Search(beams=beams, length_penalty=1.0, most=12, opening=2, end=2, forced=(0,))
    found = beam_search(ours.network, Source(ours.network.encode(SOURCES, None), None), search)
    wanted = theirs.generate(
        SOURCES,
        attention_mask=torch.ones_like(SOURCES),
        num_beams=beams,
        early_stopping=beams > 1,
        do_sample=False,
        max_length=13,
        forced_eos_token_id=None,
    )
    for one, row in zip(found, wanted.tolist(), strict=True):
        theirs_wrote = [token for token in row[1:] if token not in (1, 2)]
        assert list(one[0].tokens) == theirs_wrote


@torch.no_grad()
def test_transformers_reads_what_is_written(theirs: Any, ours: Pretrained, tmp_path: Path) -> None:
    written = write_pretrained(ours, tmp_path / "ours")
    kind = transformers.BartForConditionalGeneration
    again, told = kind.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert not told["mismatched_keys"]
    wanted = logits(theirs)
    assert difference(logits(again.eval()), wanted) < ENOUGH * max(1.0, float(wanted.abs().max()))
    assert (written.family, written.architecture) == ("BART", "BartForConditionalGeneration")
    assert again.config.scale_embedding == theirs.config.scale_embedding
    assert again.generation_config.decoder_start_token_id == 2
    assert again.generation_config.forced_bos_token_id == 0
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert tokens("one two")["input_ids"] == [0, 4, 5, 2]
    assert (tokens.bos_token, tokens.pad_token) == ("<s>", "<pad>")


def changed(folder: Path, place: Path, **settings: Any) -> Path:
    """The folder with another config.json."""
    given = json.loads((folder / CONFIG).read_text())
    (place / CONFIG).write_text(json.dumps({**given, **settings}))
    (place / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    return place


def test_the_bare_one_has_all_of_it(theirs: Any, ours: Pretrained, tmp_path: Path) -> None:
    """facebook/bart-base names the class without a head, and no number to add to scores."""
    theirs.model.save_pretrained(tmp_path)
    again = read_pretrained(tmp_path)
    for name, tensor in ours.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name])


def test_what_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"normalize_before: got true, norms before"):
        read_pretrained(changed(folder, tmp_path, normalize_before=True))
    with pytest.raises(InputError, match=r"names the token 61, but the network has 61"):
        read_pretrained(changed(folder, tmp_path, decoder_start_token_id=61))
    changed(folder, tmp_path)
    tensors = load_file(folder / WEIGHTS)
    save_file({**tensors, "final_logits_bias": torch.full((1, 61), 0.5)}, tmp_path / WEIGHTS)
    with pytest.raises(InputError, match="final_logits_bias: is not nought"):
        read_pretrained(tmp_path)
    del tensors["model.decoder.layers.0.encoder_attn.k_proj.bias"]
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(InputError, match=r"missing model\.decoder\.layers\.0\.encoder_attn"):
        read_pretrained(tmp_path)


def test_used_and_tuned_as_a_folder(
    theirs: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss of a step is theirs, with what is forced; what is tuned is written as a folder."""
    if theirs.config.scale_embedding:
        pytest.skip("once is enough")
    assert main(["predict", str(folder), "one two", "--beams", "2"]) == 0
    assert capsys.readouterr().out.strip()
    rows = ["one two\teins zwei", "two three\tzwei drei", "three one\tdrei eins"] * 6
    (tmp_path / "pairs.tsv").write_text("\n".join(["en\tde", *rows]) + "\n")
    given = {
        "name": "tuned",
        "start": str(folder),
        "task": {"kind": "seq2seq", "beams": 2},
        "data": {
            "kind": "pairs",
            "path": str(tmp_path / "pairs.tsv"),
            "source": "en",
            "target": "de",
        },
        "optimizer": {"kind": "adam", "learning_rate": 0.005},
        "training": {"epochs": 6, "batch_size": 6, "seed": 1},
        "placement": {"threads": 1, "precision": "fp32", "device": "cpu"},
    }
    recipe = Recipe.of(given)
    source = find_model(folder)
    exact = Run(source, place(source.model.network, EXACT))
    _, before = exact.evaluate(on=recipe, split="train")
    sides = (str(before.columns[side][0]).split() for side in ("source", "reference"))
    read, label = (torch.tensor([[0, *map(WORDS.index, words), 2]]) for words in sides)
    with torch.no_grad():
        wanted = float(theirs(input_ids=read, labels=label).loss)
    assert before.columns["loss"][0] == pytest.approx(wanted, rel=1e-4)
    run = luthier.train(recipe, out=tmp_path / "run")
    assert (run.target.opening, run.target.forced) == (2, (0,))
    assert run.inputs.form.before == (0,)
    _, after = run.evaluate("train")
    assert after.metrics["loss"].value < 0.7 * before.metrics["loss"].value
    assert (
        main(
            ["export", str(tmp_path / "run"), "--to", "huggingface", "--out", str(tmp_path / "out")]
        )
        == 0
    )
    again = luthier.load(tmp_path / "out")
    assert again.predict(["one two"])[0]["output"] == run.predict(["one two"])[0]["output"]
    assert json.loads((tmp_path / "out" / GENERATION).read_text())["forced_bos_token_id"] == 0
    with pytest.raises(InputError, match="does not go on with"):
        check_recipe(
            Recipe.of(
                {
                    **given,
                    "task": {"kind": "language"},
                    "data": {"kind": "text", "path": str(tmp_path / "pairs.tsv")},
                    "training": {"steps": 1},
                }
            )
        )
