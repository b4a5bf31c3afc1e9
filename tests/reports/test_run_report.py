"""The report of a run: whole, self-contained, and safe whatever the names are."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from PIL import Image

from luthier.data.chat.shown import ShownConversation, Stretch
from luthier.metrics.interval import wilson
from luthier.reports import markup
from luthier.reports.comparison_report import comparison_report
from luthier.reports.confusion_table import confusion_table, frequent_confusions, shown_classes
from luthier.reports.data import Curve, ReportData, ShownForecast
from luthier.reports.mistakes import picture_tag, shown_ids
from luthier.reports.quantity import quantity
from luthier.reports.run_report import run_report
from luthier.reports.summary import hardware, summary
from luthier.spec import Decision

Make = Callable[..., Any]
NEVER_CLOSED = {"meta", "img", "br"}
HOSTILE = "<script>alert('x')</script>\"' onload=\u202e\ud800\x00&amp;"


class Page(HTMLParser):
    """A page as a browser reads it; every element must be closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words).replace("\u202f", " ").replace("\u00a0", " ")

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def test_the_first_sentence(make_run: Make) -> None:
    sentence = "digits: 98.1 % accuracy on 360 test images (95 % interval 96.0 to 99.1), "
    sentence += "trained in 14 s on 2 CPU cores."
    assert summary(make_run()).replace("\u202f", " ").replace("\u00a0", " ") == sentence
    assert sentence in Page(run_report(make_run())).text


def test_one_image_on_one_core(make_run: Make, make_columns: Make) -> None:
    run = make_run(make_columns(examples=1, wrong=0), machine={"cpu": {"cores": 1}})
    assert "on 1 test image (" in summary(run)
    assert hardware(run) == "1\u00a0CPU\u00a0core"
    assert hardware(replace(run, device="cuda", machine={"gpu": {"name": "A GPU"}})) == "A GPU"


def test_a_headline_that_is_no_share(make_run: Make) -> None:
    run = make_run()
    loss = run.evaluation.metrics["log_loss"]
    run = replace(run, evaluation=replace(run.evaluation, headline="log_loss"))
    said = summary(run)
    assert said.startswith(f"digits: log loss {quantity('log_loss').value(loss)} on 360 test")


def test_values_without_an_interval(make_run: Make, make_columns: Make) -> None:
    """A lone example has none, and the page says so in place of a width of zero."""
    run = make_run(make_columns(examples=1, wrong=0))
    run = replace(run, evaluation=replace(run.evaluation, headline="log_loss"))
    assert run.evaluation.metrics["log_loss"].interval is None
    assert "on 1 test image (of which there is no interval), trained" in summary(run)
    assert "of a lone example, no interval" in Page(run_report(run)).text
    both = Page(comparison_report([run, replace(run, name="other")])).text
    assert "of a lone example, no interval" in both


def test_everything_is_there(make_run: Make) -> None:
    page = Page(run_report(make_run()))
    for words in (
        "2 images could not be read.",
        "Top-2 accuracy",
        "8,450 images/s",
        "1.2 %",
        "Confusion matrix",
        "7 images of 360 are wrong; here all",
        "32 × 6 × 6",
        "placement.precision",
        "no bfloat16",
        "task: {kind: classify}",
        "LoRA of rank 4, alpha 32, dropout 0.1",
        "conv in 3 layers",
        "1,234 of 320,000 weights (0.4",
        "90 kB; whole they would take 640 kB",
        "runs/mnist",
        "what was learned added in",
        "luthier train recipes/digits.yaml",
        "1,257 train · 180 validation · 360 test",
        "8 GB",
    ):
        assert words in page.text, words
    sources = [image["src"][:26] for image in page.all("img")]
    assert sources.count("data:image/png;base64,iVBO") == 7
    assert sources.count("data:image/svg+xml;base64,") == 1
    assert len([1 for svg in page.all("svg") if svg.get("class") == "chart"]) == 5
    assert "320 parameters. FLOPs" in page.text


def test_the_contents_lead_somewhere(make_run: Make) -> None:
    page = Page(run_report(make_run()))
    targets = [link["href"].removeprefix("#") for link in page.all("a")]
    assert len(targets) == 9
    assert targets == [part["id"] for part in page.all("section")]


def needs_nothing(page: Page) -> None:
    """Fails where a page runs or loads anything."""
    assert not {"script", "link", "iframe", "object", "form"} & {name for name, _ in page.elements}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    policy = next(meta for meta in page.all("meta") if "http-equiv" in meta)
    assert policy["content"].startswith("default-src 'none'")
    assert "url(" not in page.text
    assert "@import" not in page.text


def hostile(run: ReportData) -> ReportData:
    """The run, with a hostile name wherever a user can put one."""
    assert run.counts
    assert run.adapter
    columns = dict(run.evaluation.columns)
    columns["name"] = np.array([HOSTILE.replace("\x00", "")] * len(columns["id"]))
    decision = Decision(place=HOSTILE, value={HOSTILE: [HOSTILE]}, reason=HOSTILE)
    return replace(
        run,
        name=HOSTILE,
        classes=(HOSTILE, *run.classes[1:]),
        evaluation=replace(run.evaluation, columns=columns, samples={HOSTILE: HOSTILE}),
        recipe=HOSTILE,
        resolved={**run.resolved, HOSTILE: HOSTILE, "start": HOSTILE},
        adapter={**run.adapter, "where": HOSTILE},
        decisions=(decision,),
        machine={"cpu": {"cores": 2, "name": HOSTILE}, HOSTILE: {HOSTILE: HOSTILE}},
        counts=replace(
            run.counts,
            rows=tuple(replace(row, name=HOSTILE, module=HOSTILE) for row in run.counts.rows),
        ),
        drawing=f"<svg>{HOSTILE}</svg>".replace("\ud800", ""),
        curves=tuple(replace(curve, series=HOSTILE) for curve in run.curves),
        splits={HOSTILE: 3},
        commands=(HOSTILE,),
        notes=(HOSTILE,),
        split=HOSTILE,
        example_noun=HOSTILE,
        texts=dict.fromkeys(run.pictures, HOSTILE),
        conversations=(
            ShownConversation(HOSTILE, (Stretch(learned=True, tokens=(HOSTILE,)),), more=1),
        ),
        forecasts=(
            ShownForecast(
                title=HOSTILE, read=np.arange(3.0), truth=np.ones(2), said=np.ones((2, 1))
            ),
        ),
    )


def test_it_needs_nothing_and_runs_nothing(make_run: Make) -> None:
    needs_nothing(Page(run_report(make_run())))


def test_hostile_names_are_only_names(make_run: Make) -> None:
    text = run_report(hostile(make_run()))
    assert text.encode()
    page = Page(text)
    needs_nothing(page)
    assert page.text.count("<script>alert('x')</script>") > 20


def test_a_twin_that_does_not_escape_is_caught(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markup, "text", lambda value: markup.Markup(value))
    with pytest.raises(AssertionError):
        needs_nothing(Page(run_report(hostile(make_run()))))


def test_a_run_of_which_little_is_known(make_run: Make) -> None:
    bare = make_run(
        classes=(), decisions=(), counts=None, drawing="", curves=(), splits={}, pictures={}
    )
    page = Page(run_report(replace(bare, commands=(), notes=(), recipe="", adapter=None)))
    assert [part["id"] for part in page.all("section")] == ["training", "recipe", "reproduce"]


def test_curves_without_a_finite_value_are_left_out(make_run: Make) -> None:
    empty = Curve(quantity="loss", series="train", steps=np.array([1]), values=np.array([np.nan]))
    assert "polyline" not in run_report(make_run(curves=(empty,)))


def test_other_series_have_their_own_colours(make_run: Make) -> None:
    curve = Curve(quantity="loss", series="test", steps=np.array([1, 2]), values=np.array([1, 2]))
    assert '<polyline class="line run1"' in run_report(make_run(curves=(curve,)))


def test_no_mistakes(make_run: Make, make_columns: Make) -> None:
    page = Page(run_report(make_run(make_columns(wrong=0))))
    assert "No image of the test split is wrong." in page.text
    assert "None." in page.text


def test_one_mistake(make_run: Make, make_columns: Make) -> None:
    assert "1 image of 360 is wrong" in Page(run_report(make_run(make_columns(wrong=1)))).text


def test_a_thousand_classes_stay_readable(make_run: Make, make_columns: Make) -> None:
    names = tuple(f"class {number}" for number in range(1000))
    columns = make_columns(examples=5000, classes=1000, wrong=2000)
    text = run_report(make_run(columns, classes=names, pictures={}))
    page = Page(text)
    assert "940 classes with a higher F1 are left out." in page.text
    assert "The 20 classes with the most mistakes; 980 are left out." in page.text
    assert "2,000 images of 5,000 are wrong; here the 24 worst" in page.text
    assert len(text) < 400_000


def test_a_class_that_the_test_split_lacks(make_run: Make, make_columns: Make) -> None:
    columns = make_columns(classes=10)
    page = Page(run_report(make_run(columns, classes=(*"0123456789", "never"))))
    assert "never0–––" in page.text


def test_mistakes_say_what_they_are(make_run: Make) -> None:
    run = make_run()
    columns = run.evaluation.columns
    row = int(shown_ids(columns)[0])
    said, sure = columns["predicted"][row], columns["probability"][row]
    expected = f"said {said} ({sure:.2f}), is {columns['label'][row]}test[{row}]"
    assert expected in Page(run_report(run)).text
    wrong = columns["label"] != columns["predicted"]
    assert sure == columns["probability"][wrong].max()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_in_the_page_pixel_for_pixel(channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, channels), dtype=np.uint8)
    found = re.search('base64,([^"]+)', picture_tag(picture, "a"))
    assert found
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))
    np.testing.assert_array_equal(again.reshape(picture.shape), picture)
    assert 'class="pixels"' in picture_tag(picture, "a")


def test_a_large_picture_is_made_smaller() -> None:
    large = picture_tag(np.zeros((1000, 400, 3), dtype=np.uint8), "a")
    found = re.search('base64,([^"]+)', large)
    assert found
    assert Image.open(io.BytesIO(base64.b64decode(found[1]))).size == (77, 192)
    assert 'class="pixels"' not in large


def test_the_confusion_table() -> None:
    confusion = np.array([[8, 2, 0], [0, 9, 1], [0, 0, 7]])
    made = confusion_table(confusion, ("a", "b", "long name"))
    assert made.count("td class") == 9
    assert 'style="--heat:1.00" title="2 of a, said to be b">2</td>' in made
    assert '<td class="right" style="--heat:0.90"' in made
    assert "th.steep" not in made
    assert frequent_confusions(confusion) == [(0, 1, 2), (1, 2, 1)]
    assert shown_classes(confusion) == [0, 1, 2]


def test_settings_and_facts_are_worded(make_run: Make) -> None:
    values = {"a": True, "b": None, "c": [1.5e-4, "x"], "d": {"e": 2}}
    decision = Decision(place="data.augment", value=values, reason="why")
    machine = {
        "cpu": {"cores": 2, "bf16": False},
        "gpu": {"name": None, "count": None},
        "extras": {"track": {"wandb": True, "mlflow": False}, "serve": {"fastapi": False}},
    }
    text = Page(run_report(make_run(decisions=(decision,), machine=machine))).text
    assert "{a: true, b: none, c: [0.00015, x], d: {e: 2}}" in text
    assert "bf16no" in text
    assert "trackwandb" in text
    assert "servenone" in text
    assert "GPU" not in text  # of which nothing is known


def test_names_of_metrics() -> None:
    share = wilson(9912, 10000)
    assert quantity("accuracy").value(share) == "99.12\u202f%"
    assert quantity("accuracy").interval(share) == "98.92 to 99.29\u202f%"
    assert quantity("my_score").show(0.12345) == "0.123"


def test_every_field_has_a_use(make_run: Make) -> None:
    """The page changes with each field of the data."""
    run, other = make_run(), hostile(make_run())
    page = run_report(run)
    unused = [
        field.name
        for field in fields(ReportData)
        if field.name not in ("timing", "device", "pictures", "resolved")
        and run_report(replace(run, **{field.name: getattr(other, field.name)})) == page
    ]
    assert unused == []
