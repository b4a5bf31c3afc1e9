"""What is wrong with conversations, told before anything is spent on training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from luthier.data.chat.conversation import MARKS, Conversation, UnusableRowError
from luthier.data.chat.prepare_chat import Fitted, PreparedChat
from luthier.data.chat.prepare_preferences import PreparedPreferences
from luthier.data.chat.reading import hashes
from luthier.data.chat.template import ChatTemplate
from luthier.data.chat.tokens import stop_tokens
from luthier.data.collection import Split
from luthier.data.copies import Copied, equal_pairs
from luthier.data.finding import Finding, counted, unusable, worst_first

MANY_CUT = 0.01
"""The share of conversations that are cut, from where it is worth a warning."""
LITTLE_FILLED = 0.5
UNLIKE_LENGTHS = 0.4
"""The logarithm of how much longer one kind of answers is, from where it is worth a warning."""


def inspect_chat(data: PreparedChat) -> list[Finding]:
    """Everything that is wrong with conversations, or good to know of them, the worst first."""
    found = [
        *unusable(data.skipped, "row"),
        *data.findings,
        *_lengths(data),
        *_stops(data),
        *dropped(data.template, data.conversations["train"]),
        *copies(data.conversations),
        _filled(data),
    ]
    return worst_first(found)


def inspect_preferences(data: PreparedPreferences) -> list[Finding]:
    """Everything that is wrong with answers that were compared, or good to know of them."""
    train = data.train
    sides = train.answers if train.good is None else train.answers[:1]
    tokens = [np.mean([row.learned.sum() for row in side]) for side in sides]
    found = [*unusable(data.skipped, "row"), *data.findings]
    if train.good is None:
        better, worse = tokens
        found.append(
            Finding(
                severity="warning" if abs(np.log(better / worse)) > UNLIKE_LENGTHS else "note",
                message=f"the better answers have {better:.0f} tokens on average, the worse ones "
                f"{worse:.0f}" + _on_lengths(better, worse),
            )
        )
    else:
        good = int(train.good.sum())
        found.append(
            Finding(
                severity="note" if 0 < good < len(train) else "warning",
                message=f"{good:,} of {len(train):,} training answers are good ones; answers have "
                f"{tokens[0]:.0f} tokens on average" + _of_one_kind(good, len(train)),
            )
        )
    found += dropped(data.template, data.conversations["train"])
    return worst_first([*found, *copies(data.conversations)])


def _of_one_kind(good: int, answers: int) -> str:
    if 0 < good < answers:
        return ""
    lacking = "bad" if good else "good"
    return f": nothing shows what a {lacking} one is; bring {lacking} answers, too"


def _on_lengths(better: float, worse: float) -> str:
    if abs(np.log(better / worse)) <= UNLIKE_LENGTHS:
        return ""
    return f": what is learned may be to write {'long' if better > worse else 'short'} answers"


def _lengths(data: PreparedChat) -> Iterator[Finding]:
    context = data.signal.shape[0]
    for split, rows in data.fitted.items():
        total = len(data.conversations[split])
        yield Finding(
            severity="note",
            message=f"{split} has {counted(len(rows.rows), 'conversation')} with {rows.tokens:,} "
            f"tokens, of which {rows.learned:,} are learned ({rows.learned / rows.tokens:.1%})",
        )
        if rows.cut:
            yield Finding(
                severity="warning" if len(rows.cut) > MANY_CUT * total else "note",
                message=f"{counted(len(rows.cut), f'{split} conversation')} of {total:,} longer "
                f"than {context:,} tokens: {sum(rows.cut):,} tokens are cut off, {max(rows.cut):,} "
                "of the longest (data.context, data.too_long)",
            )
        if rows.left_out:
            yield Finding(
                severity="warning",
                message=f"{counted(rows.left_out, f'{split} conversation')} of {total:,} left out: "
                f"nothing to learn of them fits into {context:,} tokens (data.context)",
            )


def _stops(data: PreparedChat) -> Iterator[Finding]:
    """Whether the network learns when to stop."""
    train = data.fitted["train"]
    ends = [stop for row in train.rows for stop in row.stops]
    trained = stops_learned(train)
    if not trained:
        yield Finding(
            severity="error",
            message=f"the stop token is never trained: {_why_no_stop(data, ends)}; what is trained "
            "so never ends its replies",
        )
        return
    names = {data.tokenizer.token_text(stop) for stop in stop_tokens(train.rows)}
    missing = sum(stop is None for stop in ends)
    yield Finding(
        severity="warning" if missing else "note",
        message=f"replies end with {', '.join(sorted(names))}, which is trained {trained:,} times"
        + (f"; {counted(missing, 'reply', 'replies')} end without" if missing else ""),
    )


def stops_learned(rows: Fitted) -> int:
    """How often a token that ends a reply is learned."""
    stops = list(stop_tokens(rows.rows))
    return sum(int((np.isin(row.tokens, stops) & row.learned).sum()) for row in rows.rows)


def _why_no_stop(data: PreparedChat, ends: Sequence[int | None]) -> str:
    if all(end is None for end in ends):
        return f"{data.template.told} puts no special token of the tokenizer behind a reply"
    return "all replies are cut off before it (data.context)"


def dropped(template: ChatTemplate, rows: Sequence[Conversation]) -> Iterator[Finding]:
    """What the template leaves out: all that one role says, or what may be called."""
    seen: set[str] = set()
    for row in rows:
        for number, message in enumerate(row.messages):
            if message.role in seen or not message.content:
                continue
            seen.add(message.role)
            marked = replace(message, content=MARKS[2] + message.content)
            changed = (*row.messages[:number], marked, *row.messages[number + 1 :])
            if MARKS[2] not in _rendered(template, replace(row, messages=changed)):
                yield Finding(
                    severity="warning",
                    message=f"{template.told} leaves out what {message.role} says",
                    files=(row.name,),
                )
        if row.tools and "tools" not in seen:
            seen.add("tools")
            if _rendered(template, row) == _rendered(template, replace(row, tools=())):
                yield Finding(
                    severity="warning",
                    message=f"{template.told} leaves out the tools that the assistant may call",
                    files=(row.name,),
                )


def _rendered(template: ChatTemplate, row: Conversation) -> str:
    try:
        return template.render(row.plain(), tools=row.tools)
    except UnusableRowError:
        return ""  # a row that cannot be used is told as one


def copies(parts: Mapping[Split, Sequence[Conversation]]) -> Iterator[Finding]:
    """Equal conversations, and those that begin with the same question, in two splits or in one."""
    rows = [row for split in parts.values() for row in split]
    side = np.repeat(np.arange(len(parts)), [len(split) for split in parts.values()])
    whole = _groups([row.text for row in rows])
    asked = _groups([row.asked for row in rows])
    for one, groups in (("conversation", whole), ("question", asked)):
        copied = Copied(
            splits=list(parts),
            side=side,
            labels=np.zeros(len(rows), dtype=np.int64),
            name=lambda row: rows[row].name,
            one=one,
        )
        pairs = equal_pairs(groups)
        if one == "question":  # of equal conversations it was told
            pairs = pairs[whole[pairs[:, 0]] != whole[pairs[:, 1]]]
        yield from copied.findings(pairs, "equal")


def _groups(texts: Sequence[str]) -> np.ndarray:
    return np.unique(hashes(texts), return_inverse=True)[1]


def _filled(data: PreparedChat) -> Finding:
    rows = data.train
    return Finding(
        severity="warning" if rows.fill < LITTLE_FILLED else "note",
        message=f"{counted(len(rows), 'training row')} of {data.signal.shape[0]:,} tokens: "
        f"{rows.fill:.1%} filled"
        + ("" if rows.fill >= LITTLE_FILLED else "; take packing: true, or a smaller data.context"),
    )
