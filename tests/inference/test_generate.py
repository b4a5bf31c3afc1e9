"""Texts from prompts: together as alone, with the cache as without it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_writer import (
    BARE,
    BPE,
    CHARACTERS,
    CONTEXT,
    GPT,
    NETWORKS,
    UNIGRAM,
    WORDS,
    slowly,
    writer,
)

from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.errors import InputError
from luthier.inference.converse import Conversation
from luthier.inference.generate import generate, prompt_tokens
from luthier.inference.sampling import SamplingSpec
from luthier.model.blueprint import Network
from luthier.model.stream import State
from luthier.placement.inference import for_inference

PROMPTS = ("the fox", "a", "", "the dog met a fox!", "床前明")


def greedy(most: int, **more: Any) -> SamplingSpec:
    return SamplingSpec(greedy=True, max_tokens=most, **more)


def texts(found: list[Any]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(one.text, one.tokens, one.ending) for one in found]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("most", [3, 3 * CONTEXT])
def test_with_the_cache_as_by_reading_all_again(network: str, most: int) -> None:
    """Beyond the context too."""
    placed, end = writer(layers=NETWORKS[network]), CHARACTERS.special("end")
    for prompt in PROMPTS:
        [tokens] = prompt_tokens(CHARACTERS, [prompt], CONTEXT)
        [found] = generate(placed, CHARACTERS, [prompt], greedy(most))
        assert list(found.tokens) == slowly(placed, tokens, most, end)
        assert found.text == CHARACTERS.decode(found.tokens)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", [3, 4])
def test_together_as_one_by_one(network: str, seed: int) -> None:
    """Rows that end at different times, by an end token, a stop or beyond the context."""
    placed = writer(layers=NETWORKS[network], seed=seed)
    spec = greedy(3 * CONTEXT, stop=("ox", "g "))
    together = generate(placed, CHARACTERS, PROMPTS, spec)
    alone = [generate(placed, CHARACTERS, [prompt], spec)[0] for prompt in PROMPTS]
    assert together == alone


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_for_inference_writes_the_same(network: str) -> None:
    placed = writer(layers=NETWORKS[network])
    spec = greedy(3 * CONTEXT, stop=("ox", "g "))
    right = generate(placed, CHARACTERS, PROMPTS, spec)
    assert generate(for_inference(placed), CHARACTERS, PROMPTS, spec) == right


def test_rows_do_not_all_end_at_once() -> None:
    """Or the test above would prove little."""
    lengths = {
        len(one.tokens)
        for seed in (3, 4)
        for layers in NETWORKS.values()
        for one in generate(
            writer(layers=layers, seed=seed),
            CHARACTERS,
            PROMPTS,
            greedy(3 * CONTEXT, stop=("ox", "g ")),
        )
    }
    assert len(lengths) > 3
    assert max(lengths) > CONTEXT


def test_rows_that_have_ended_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    placed = writer(seed=4)
    network = placed.network
    decode = network.decode

    def counted(x: torch.Tensor, state: State) -> Any:
        sizes.append(len(x))
        return decode(x, state)

    monkeypatch.setattr(network, "decode", counted)
    spec = SamplingSpec(max_tokens=20, stop=("a", "e", "o"), temperature=5.0, seed=2)
    found = generate(placed, CHARACTERS, ["the fox"] * 8, spec)
    ends = [len(one.tokens) for one in found]
    assert len(set(ends)) > 2
    for step, size in enumerate(sizes, 1):
        assert size <= 2 * sum(end > step for end in ends)


@pytest.mark.parametrize("network", NETWORKS)
def test_wrong_rows_of_a_state_are_seen(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: with rows of the state that belong to others, texts are no longer the same."""
    spec = SamplingSpec(max_tokens=3 * CONTEXT, temperature=0.5, stop=("ox", "g ", "!"))
    placed = writer(layers=NETWORKS[network])
    right = generate(placed, CHARACTERS, PROMPTS, spec)
    of_rows = State.of_rows
    monkeypatch.setattr(State, "of_rows", lambda self, rows: of_rows(self, [0 for _ in rows]))
    assert generate(placed, CHARACTERS, PROMPTS, spec) != right


def test_drawn_together_as_alone() -> None:
    placed = writer()
    spec = SamplingSpec(max_tokens=12, seed=5, top_p=0.9, repetition_penalty=1.2)
    three = generate(placed, CHARACTERS, PROMPTS[:3], spec)
    assert generate(placed, CHARACTERS, PROMPTS[:1], spec) == three[:1]
    assert generate(placed, CHARACTERS, PROMPTS[:3], spec) == three
    other = spec.model_copy(update={"seed": 6})
    assert generate(placed, CHARACTERS, PROMPTS[:3], other) != three


@pytest.mark.parametrize("tokenizer", [CHARACTERS, BARE, BPE, WORDS, UNIGRAM])
def test_what_is_told_is_the_text(tokenizer: Tokenizer) -> None:
    placed, told = writer(tokenizer), ["", ""]

    def tell(row: int, text: str) -> None:
        assert text
        told[row] += text

    spec = SamplingSpec(max_tokens=30, temperature=2.0, stop=("the", "o"))
    found = generate(placed, tokenizer, ["the fox", "a dog"], spec, tell)
    assert told == [one.text for one in found]


@pytest.mark.parametrize("tokenizer", [CHARACTERS, BARE, BPE, WORDS, UNIGRAM])
def test_prompt_and_text_are_the_text_of_all_tokens(tokenizer: Tokenizer) -> None:
    placed, prompt = writer(tokenizer), "the fox"
    [found] = generate(placed, tokenizer, [prompt], SamplingSpec(max_tokens=9, temperature=3.0))
    known = tokenizer.encode([prompt])[0].tokens.tolist()
    assert prompt + found.text == tokenizer.decode([*known, *found.tokens])


@pytest.mark.parametrize("training", [True, False])
def test_left_as_it_was_found(training: bool) -> None:
    placed = writer(layers=GPT)  # with dropout, that must not run
    placed.network.train(training)
    first = generate(placed, CHARACTERS, ["the"], greedy(9))
    assert placed.network.training is training
    assert generate(placed, CHARACTERS, ["the"], greedy(9)) == first
    with pytest.raises(RuntimeError, match="told"):
        generate(placed, CHARACTERS, ["the"], greedy(9), failing)
    assert placed.network.training is training


def failing(_row: int, _text: str) -> None:
    raise RuntimeError("told")


def test_refused() -> None:
    placed, bare = writer(), writer(BARE)
    for network, tokenizer, prompts, words in (
        (placed, CHARACTERS, [], "got no prompt"),
        (placed, CHARACTERS, ["a", "a" * CONTEXT], rf"prompt 2 has {CONTEXT + 1} tokens"),
        (bare, BARE, ["a", ""], "prompt 2 is empty"),
        (bare, BARE, ["a" * (CONTEXT + 1)], f"trained on {CONTEXT} at most"),
    ):
        with pytest.raises(InputError, match=words):
            generate(network, tokenizer, prompts, greedy(3))
    assert generate(bare, BARE, ["a" * CONTEXT], greedy(3))[0].tokens


def test_a_conversation_is_one_text() -> None:
    placed = writer()
    spec = greedy(5, stop=("\n",))
    conversation = Conversation(placed, CHARACTERS, spec)
    first = conversation.say("the")
    assert first == generate(placed, CHARACTERS, ["the"], spec)[0].text
    second = conversation.say("fox")
    assert conversation.text == f"the{first}\nfox{second}\n"
    [all_of_it] = generate(placed, CHARACTERS, [f"the{first}\nfox"], spec)
    assert second == all_of_it.text


def test_each_turn_draws_numbers_of_its_own() -> None:
    """The same numbers at every turn would write the same words after the same words."""
    flat = writer()
    assert isinstance(flat.network, Network)
    for parameter in flat.network.head.parameters():
        torch.nn.init.zeros_(parameter)  # all tokens are as likely, whatever was read
    spec = SamplingSpec(max_tokens=12, seed=5)
    first, again = (Conversation(flat, CHARACTERS, spec) for _ in range(2))
    turns = [first.say("the") for _ in range(3)]
    assert len(set(turns)) == 3
    assert turns == [again.say("the") for _ in range(3)]
    other = Conversation(flat, CHARACTERS, SamplingSpec(max_tokens=12, seed=6))
    assert not {other.say("the") for _ in range(3)} & set(turns)


def test_a_conversation_longer_than_the_context() -> None:
    for tokenizer in (CHARACTERS, BARE, WORDS, UNIGRAM):
        conversation = Conversation(writer(tokenizer), tokenizer, greedy(1))
        for _ in range(4):
            conversation.say("the dog met a fox! " * 3)
        long = Conversation(writer(tokenizer), tokenizer, greedy(5 * CONTEXT))
        long.say("the dog met a fox! " * 9)
    with pytest.raises(InputError, match="text 1 is empty"):
        Conversation(writer(BARE), BARE, greedy(1)).say("")
