from __future__ import annotations

from luthier.recipe import Recipe
from luthier.run.directory import annotated
from luthier.spec import Decision, parse


def test_a_reason_stands_behind_a_value_inside_a_list() -> None:
    parts = [{"data": {"kind": "text", "path": path}, "weight": 1.0} for path in ("/a", "/b")]
    recipe = parse(
        Recipe,
        {
            "name": "mix",
            "task": {"kind": "language"},
            "data": {"kind": "mixture", "parts": parts},
            "model": {"layers": [{"kind": "tokens", "width": 4}]},
        },
    )
    place = "data.parts[1].data.path"
    lines = annotated(recipe, [Decision(place=place, value="/b", reason="why")]).splitlines()
    assert [line.strip() for line in lines if "#" in line] == ["path: /b  # why"]
