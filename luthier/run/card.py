"""The model card: what a stranger needs to know of a finished model."""

from __future__ import annotations

from luthier.data.prepare import Prepared
from luthier.evaluation.evaluate import Evaluation
from luthier.recipe import Recipe
from luthier.yaml_source import write_yaml

PIPELINES = {"classify": "image-classification"}


def model_card(recipe: Recipe, prepared: Prepared, evaluation: Evaluation, split: str) -> str:
    """A README with front matter, as model hubs read it."""
    headline = evaluation.metrics[evaluation.headline]
    front = {
        "library_name": "luthier",
        "pipeline_tag": PIPELINES[recipe.task.kind],
        "model-index": [
            {
                "name": recipe.name,
                "results": [
                    {
                        "task": {"type": PIPELINES[recipe.task.kind]},
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
        f"| {name} | {metric.value:.4f} | {metric.low:.4f} to {metric.high:.4f} |"
        for name, metric in evaluation.metrics.items()
    ]
    lines = [
        "---",
        write_yaml(front).rstrip(),
        "---",
        f"# {recipe.name}",
        "",
        f"Trained on: {prepared.recognised}, {len(prepared.train):,} training pictures. "
        f"Classes: {', '.join(prepared.classes)}.",
        "",
        f"| metric, on {headline.n:,} {split} pictures | value | 95 % interval |",
        "| --- | --- | --- |",
        *rows,
        "",
        "Use: `luthier predict RUN picture.png`, or in Python "
        '`luthier.load("RUN").predict(["picture.png"])`.',
    ]
    return "\n".join(lines) + "\n"
