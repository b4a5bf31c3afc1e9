"""The model card: what a stranger needs to know of a finished model."""

from __future__ import annotations

from luthier.data.prepared import Prepared
from luthier.data.target import names_of
from luthier.evaluation.evaluate import Evaluation
from luthier.recipe import Recipe
from luthier.yaml_source import write_yaml

PIPELINES = {
    ("classify", "image"): "image-classification",
    ("classify", "tokens"): "text-classification",
    ("classify", "sequence"): "audio-classification",
    ("transcribe", "sequence"): "automatic-speech-recognition",
    ("tag", "tokens"): "token-classification",
    ("classify_and_tag", "tokens"): "token-classification",
    ("extract", "tokens"): "question-answering",
    ("language", "tokens"): "text-generation",
    ("preference", "tokens"): "text-generation",
    ("reward", "tokens"): "text-classification",
    ("seq2seq", "tokens"): "text2text-generation",
    ("forecast", "sequence"): "time-series-forecasting",
}
"""The Hub's names of tasks, by the task and by what it reads."""
_GIVEN = {
    "audio-classification": "sound.wav",
    "automatic-speech-recognition": "talk.wav",
    "image-classification": "picture.png",
    "fill-mask": "some [MASK] text",
    "question-answering": "questions.jsonl",
    "time-series-forecasting": "recent.csv",
}
"""What a user may give, where that is no plain text."""


def pipeline_of(recipe: Recipe, prepared: Prepared) -> str:
    """The Hub's name of a task."""
    if recipe.aim == "masked":
        return "fill-mask"
    return PIPELINES[recipe.task.kind, prepared.signal.form]


def model_card(recipe: Recipe, prepared: Prepared, evaluation: Evaluation, split: str) -> str:
    """A README with front matter, as model hubs read it."""
    headline = evaluation.metrics[evaluation.headline]
    pipeline = pipeline_of(recipe, prepared)
    classes, noun = names_of(prepared.target), prepared.noun
    verb = "generate" if pipeline == "text-generation" else "predict"
    option = "--prompt " if verb == "generate" else ""
    given = _GIVEN.get(pipeline, "some text")
    front = {
        "library_name": "luthier",
        "pipeline_tag": pipeline,
        "model-index": [
            {
                "name": recipe.name,
                "results": [
                    {
                        "task": {"type": pipeline},
                        "dataset": {
                            "name": recipe.data.kind,
                            "type": recipe.data.kind,
                            "split": split,
                        },
                        "metrics": [{"type": evaluation.headline, "value": headline.value}],
                    }
                ],
            }
        ],
    }
    rows = [
        f"| {name} | {metric.value:.4f} | {metric.interval_text()} |"
        for name, metric in evaluation.metrics.items()
    ]
    lines = [
        "---",
        write_yaml(front).rstrip(),
        "---",
        f"# {recipe.name}",
        "",
        f"Trained on: {prepared.recognised}, {len(prepared.train):,} training {noun.many}."
        + (f" Classes: {', '.join(classes)}." if classes else ""),
        "",
        f"| metric, on {headline.n:,} {split} {noun.many} | value | 95 % interval |",
        "| --- | --- | --- |",
        *rows,
        "",
        f'Use: `luthier {verb} RUN {option}"{given}"`, or in Python '
        f'`luthier.load("RUN").{verb}(["{given}"])`.',
    ]
    return "\n".join(lines) + "\n"
