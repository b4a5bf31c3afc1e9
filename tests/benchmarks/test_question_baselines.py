"""What is answered without learning, and the folds of a cross-validation."""

from __future__ import annotations

import json
from pathlib import Path

import question_answering
from question_baselines import first_tokens, sliding_window, usual_length

from luthier.data.text.questions.question_row import Answer, QuestionRow

ENGLISH = "Bob walked home. In 1815 Ada was born in London, far from Rome. Eve slept."
CHINESE = "光荣公司成立于1978年。它出版了《战国无双3》，由襟川惠子创办。"


def test_the_window_with_most_of_the_question() -> None:
    row = QuestionRow("", "Who was born in London in 1815?", ENGLISH)
    assert sliding_window(row, 1) == "Ada"
    assert sliding_window(QuestionRow("", "What did Eve do?", ENGLISH), 1) == "slept"
    assert sliding_window(QuestionRow("", "谁创办光荣公司？", CHINESE), 4) in CHINESE
    assert sliding_window(QuestionRow("", "?", "one"), 5) == "one"


def test_the_first_words() -> None:
    assert first_tokens(QuestionRow("", "Who?", ENGLISH), 2) == "Bob walked"
    assert first_tokens(QuestionRow("", "谁？", CHINESE), 4) == "光荣公司"
    assert first_tokens(QuestionRow("", "Who?", "Bob."), 9) == "Bob."


def test_the_usual_length() -> None:
    texts = ("London", "in 1815", "Ada was born")
    rows = [QuestionRow("", "", ENGLISH, (Answer(text, 0),)) for text in texts]
    assert usual_length(rows) == 2


def test_each_article_is_measured_on_once(tmp_path: Path) -> None:
    articles = [{"title": str(number), "paragraphs": []} for number in range(13)]
    whole = tmp_path / "all.json"
    whole.write_text(json.dumps({"data": articles}))
    parts = question_answering.folds_of(whole)
    tested = []
    for fold in range(question_answering.FOLDS):
        files = question_answering.files_of(tmp_path, parts, fold)
        train, test = (
            {article["title"] for article in json.loads(Path(files[split]).read_text())["data"]}
            for split in ("train", "test")
        )
        assert not train & test
        assert len(train | test) == 13
        tested += sorted(test)
    assert sorted(tested, key=int) == [str(number) for number in range(13)]
