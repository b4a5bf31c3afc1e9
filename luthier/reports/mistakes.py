"""The most confident mistakes, as pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from luthier.metrics.classification import worst_mistakes
from luthier.reports.markup import Markup, tag
from luthier.tasks.task import Columns

MOST = 24
LONGEST_TEXT = 400
"""Characters of a text that are shown."""
LONGEST_SIDE = 192
"""Pixels; larger pictures are made smaller, so that the page stays light."""


def shown_ids(columns: Columns) -> np.ndarray:
    """The ids of the examples that a report shows, worst first; none where there are no labels."""
    if "label" not in columns:
        return np.zeros(0, dtype=np.int64)
    return np.asarray(columns["id"][worst_mistakes(columns, MOST)])


def mistake_tiles(
    columns: Columns,
    classes: Sequence[str],
    pictures: Mapping[int, np.ndarray],
    texts: Mapping[int, str],
) -> Markup:
    """A tile for each of the worst mistakes: what it is, what was said, how surely.

    Args:
        columns: Of the evaluation.
        classes: Their names, by number.
        pictures: Example id → `(H, W, C)` uint8; a mistake without one has a tile without one.
        texts: Example id → the text, where examples are texts.
    """
    tiles = []
    for row in worst_mistakes(columns, MOST):
        said = classes[int(columns["predicted"][row])]
        truth = classes[int(columns["label"][row])]
        sure = f" ({float(columns['probability'][row]):.2f})"
        name = str(columns["name"][row])
        number = int(columns["id"][row])
        picture, text = pictures.get(number), texts.get(number)
        image = None if picture is None else picture_tag(picture, f"{name}: {truth}")
        tiles.append(
            tag(
                "figure.tile" if text is None else "figure.tile.text",
                image,
                None if text is None else tag("p.text", shortened(text)),
                tag("figcaption", "said ", tag("b", said), sure, ", is ", tag("b", truth)),
                tag("div.file", name),
                at={"title": name},
            )
        )
    return tag("div.tiles", *tiles)


def shortened(text: str) -> str:
    """A text, no longer than a tile bears."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].rstrip() + " …"


def picture_tag(picture: np.ndarray, description: str) -> Markup:
    """A picture inside of the page.

    Args:
        picture: `(H, W, C)` uint8, C being 1 or 3.
        description: What it shows, for people who do not see it.
    """
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] in (1, 3)
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    pixelated = max(image.size) <= LONGEST_SIDE // 2
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, "png", optimize=True)
    source = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return tag("img.pixels" if pixelated else "img", at={"src": source, "alt": description})
