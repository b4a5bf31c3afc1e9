"""From conversations to rows that are ready to be read.

Dimension key, for the whole file:
    N  conversations      L  tokens of all of them
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luthier.data.chat.chat import ChatSpec, day_of
from luthier.data.chat.conversation import Conversation, UnusableRowError
from luthier.data.chat.form import ChatForm
from luthier.data.chat.meter import TemplateLimitError
from luthier.data.chat.reading import FoundChat, read_conversations
from luthier.data.chat.shown import ShownConversation
from luthier.data.chat.template import ChatTemplate
from luthier.data.chat.template_choice import choose_template, marks_for
from luthier.data.chat.tokens import ChatEncoder, ChatTokens, stop_tokens
from luthier.data.collection import Split
from luthier.data.decoding import Progress
from luthier.data.faults import Faults
from luthier.data.finding import Finding, counted
from luthier.data.prepared import Noun, Prepared
from luthier.data.purpose import Purpose
from luthier.data.target import Documents
from luthier.data.text.documents.document_choices import CONTEXT_STEP, choose_tokenizer
from luthier.data.text.documents.document_entry import known_tokenizer
from luthier.data.text.labelled.encoding import TextForm
from luthier.data.text.labelled.inputs import TextInputs
from luthier.data.text.rows.framing import Framing
from luthier.data.text.rows.row_layout import RowForm
from luthier.data.text.rows.rows import RowExamples
from luthier.data.text.rows.stream import TokenStream
from luthier.data.text.tokens.learned import LearnedSpec
from luthier.data.text.tokens.tokenizer import Tokenizer
from luthier.data.text.tokens.tokenizer_training import train_tokenizer
from luthier.errors import DataError, InputError
from luthier.signal import Signal
from luthier.spec import Decision

MOST_AUTO_CONTEXT = 1024
UNFRAMED = Framing(None, None, each_segment=False)
"""What stands around a conversation, its template writes."""
TOLD_EVERY = 200
SHOWN = 3
"""Conversations that are shown, token by token."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """The conversations of a split as they fit into rows."""

    rows: tuple[ChatTokens, ...]
    cut: tuple[int, ...]
    """Tokens that were cut off of some of them."""
    left_out: int
    """Conversations of which nothing to learn fits."""

    @property
    def learned(self) -> int:
        """Tokens that are predicted."""
        return sum(int(row.learned[1:].sum()) for row in self.rows)

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(len(row.tokens) for row in self.rows)


@dataclass(frozen=True, kw_only=True)
class PreparedChat(Prepared):
    """Conversations that are ready to be learned from."""

    train: RowExamples
    validation: RowExamples | None
    test: RowExamples | None
    target: Documents
    tokenizer: Tokenizer
    template: ChatTemplate
    conversations: Mapping[Split, Sequence[Conversation]]
    """As they were read."""
    fitted: Mapping[Split, Fitted]
    findings: tuple[Finding, ...]
    """What a person should know of the files."""

    @property
    def shown(self) -> tuple[ShownConversation, ...]:
        """Training conversations for people to look at."""
        rows = self.fitted["train"].rows[:SHOWN]
        return tuple(ShownConversation.of(row, self.tokenizer) for row in rows)


def prepare_chat(
    spec: ChatSpec,
    purpose: Purpose,
    *,
    seed: int,
    progress: Progress | None = None,
) -> PreparedChat:
    """Reads, checks, divides and renders conversations, makes tokens, and lays them out in rows.

    Args:
        spec: The data section of a recipe.
        purpose: What a task wants of it.
        seed: Of all that is random in training; of these rows, nothing is.
        progress: Told what is being done, and how far it is.

    Raises:
        DataError: If the data cannot be used: what, where, what to do.
        InputError: If the task learns nothing that conversations have.
    """
    if not purpose.ahead:
        raise InputError(
            "data.kind: got chat, but hidden tokens are not what is learned of conversations; set "
            "task.objective: next_token"
        )
    found = read_conversations(spec, progress)
    texts = [conversation.text for conversation in found.parts["train"]]
    made, learned, tokenizer_decisions = tokenizer_for(spec, purpose, texts, progress)
    template, template_decision = choose_template(
        spec.template, made, day_of(spec.date), learned=learned
    )
    encoder = ChatEncoder(template, made, last_only=spec.learn == "last_reply")
    faults = Faults(spec.on_error, found.recognised, "row")
    encoded = {
        split: encode_all(encoder, rows, faults, progress) for split, rows in found.parts.items()
    }
    must_have_some(encoded, faults, found.recognised)
    longest = max(len(row.tokens) for row in encoded["train"]) - 1
    context, context_decision = choose_chat_context(spec, longest, purpose.most_tokens)
    fitted = _fitted(encoded, context, spec)
    examples = _rows(fitted, spec, context, made.size, seed)
    decisions = (
        template_decision,
        *tokenizer_decisions,
        context_decision,
        day_decision(spec, template),
    )
    return PreparedChat(
        train=examples["train"],
        validation=examples.get("validation"),
        test=examples.get("test"),
        target=spoken(purpose, made),
        signal=Signal.tokens(context, made.size),
        inputs=inputs_for(template, made, context, stop_tokens(encoded["train"])),
        decisions=(*found.decisions, *(one for one in decisions if one is not None)),
        fingerprint=_fingerprint(encoded, made),
        recognised=_sentence(found, template, examples["train"], fitted["train"]),
        skipped=(*found.skipped, *faults.found),
        noun=Noun(
            one="row", many="rows", unit="tokens", units=context, filled=examples["train"].fill
        ),
        tokenizer=made,
        template=template,
        conversations=found.parts,
        fitted=fitted,
        findings=found.findings,
    )


def tokenizer_for(
    spec: ChatSpec,
    purpose: Purpose,
    texts: Sequence[str],
    progress: Progress | None,
) -> tuple[Tokenizer, bool, tuple[Decision, ...]]:
    """The tokenizer, whether it is learned here, and what was decided."""
    known = known_tokenizer(spec.tokenizer, purpose, tokens=None)
    if known is not None:
        return known, False, ()
    size = sum(len(text.encode(errors="replace")) for text in texts)
    chosen, decision = choose_tokenizer(spec.tokenizer, texts, size, purpose)
    assert isinstance(chosen, LearnedSpec)
    made = train_tokenizer(
        chosen,
        texts,
        specials=purpose.specials,
        marks=marks_for(spec.template),
        progress=progress,
    )
    return made, True, () if decision is None else (decision,)


def encode_all(
    encoder: ChatEncoder,
    conversations: Sequence[Conversation],
    faults: Faults,
    progress: Progress | None,
) -> list[ChatTokens]:
    """Each conversation as tokens; those that the template does not take are faults.

    Raises:
        DataError: If the template asks for too much: it would of each.
    """
    found = []
    for number, conversation in enumerate(conversations, 1):
        try:
            found.append(encoder.encoded(conversation))
        except TemplateLimitError as error:
            raise DataError(f"{conversation.name}: {error}") from None
        except UnusableRowError as error:
            faults.add(conversation.name, str(error))
        if progress and number % TOLD_EVERY == 0:
            progress("making tokens", number, len(conversations))
    return found


def must_have_some(
    encoded: Mapping[Split, Sequence[ChatTokens]], faults: Faults, what: str
) -> None:
    """Refuses rows that cannot be used, and a split that has no others.

    Raises:
        DataError: With the first of them.
    """
    faults.settle()
    for split, rows in encoded.items():
        if not rows:
            name, reason = faults.found[0]
            raise DataError(f"{what}: no conversation for {split} can be used; {name}: {reason}")
        if not any(row.learned.any() for row in rows):
            raise DataError(
                f"{what}: nothing of the conversations for {split} is to be learned: all replies "
                "are marked so (loss, train or weight)"
            )


def choose_chat_context(
    spec: ChatSpec, longest: int, most: int | None
) -> tuple[int, Decision | None]:
    """How many tokens are read at once: all of the longest conversation, within limits.

    Args:
        spec: What the recipe says.
        longest: Tokens to read of the longest conversation.
        most: The most that the start can read.
    """
    if spec.context != "auto":
        return spec.context, None
    rounded = max(-(-longest // CONTEXT_STEP) * CONTEXT_STEP, CONTEXT_STEP)
    context = min(rounded, MOST_AUTO_CONTEXT if most is None else min(most, MOST_AUTO_CONTEXT))
    reason = f"the longest conversation has {longest:,} tokens to read"
    if context < longest:
        limit = "start reads no more than this" if context == most else f"{context:,} is usual"
        reason += f"; {limit}"
    return context, Decision(place="data.context", value=context, reason=reason)


def _fitted(
    encoded: Mapping[Split, Sequence[ChatTokens]], context: int, spec: ChatSpec
) -> dict[Split, Fitted]:
    """The conversations of each split that fit.

    Raises:
        DataError: If none of a split do.
    """
    fitted = {split: fit(rows, context + 1, spec) for split, rows in encoded.items()}
    for split, rows in fitted.items():
        if not rows.rows:
            raise DataError(
                f"data.context: got {context}: no conversation for {split} has a reply within so "
                f"many tokens; the shortest has {min(len(row.tokens) for row in encoded[split]):,}"
            )
    return fitted


def fit(rows: Sequence[ChatTokens], capacity: int, spec: ChatSpec) -> Fitted:
    """The conversations that have something to learn within `capacity` tokens.

    Args:
        rows: All of a split.
        capacity: Tokens of a row.
        spec: Whether longer ones are cut.
    """
    kept, cut, left_out = [], [], 0
    for row in rows:
        over = len(row.tokens) - capacity
        if over > 0 and spec.too_long == "leave_out":
            left_out += 1
            continue
        fits = row if over <= 0 else row.first(capacity)
        if not fits.learned[1:].any():
            left_out += 1
            continue
        kept.append(fits)
        if over > 0:
            cut.append(over)
    return Fitted(rows=tuple(kept), cut=tuple(cut), left_out=left_out)


def _rows(
    fitted: Mapping[Split, Fitted], spec: ChatSpec, context: int, vocab: int, seed: int
) -> dict[Split, RowExamples]:
    """The conversations laid out in rows."""
    form = RowForm(
        context=context,
        ahead=1,
        framing=UNFRAMED,
        packing=spec.packing,
        vocab=vocab,
        whole=True,
    )
    return {
        split: RowExamples(_stream(rows.rows), split, form, seed=seed, random=False)
        for split, rows in fitted.items()
    }


def _stream(rows: Sequence[ChatTokens]) -> TokenStream:
    lengths = [len(row.tokens) for row in rows]
    return TokenStream(
        tokens=np.concatenate([row.tokens for row in rows]).astype(np.uint32),
        bytes=np.concatenate([row.bytes for row in rows]),
        words=None,
        starts=np.array([0, *itertools.accumulate(lengths)], dtype=np.int64),
        learned=np.concatenate([row.learned for row in rows]),
    )


def inputs_for(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    context: int,
    stops: frozenset[int],
    *,
    pairs: bool = False,
) -> TextInputs:
    """What makes tokens of texts that come later, and of conversations.

    Args:
        template: Renders them.
        tokenizer: Makes tokens.
        context: The most tokens of one.
        stops: Tokens that end a reply.
        pairs: Whether what is given is a question and an answer to it.
    """
    form = ChatForm(
        names=dict(template.names), stops=tuple(sorted(stops)), day=template.day.isoformat()
    )
    return TextInputs(tokenizer, TextForm(context=context, pairs=pairs, chat=form), template)


def day_decision(spec: ChatSpec, template: ChatTemplate) -> Decision | None:
    """The day, where a template asks for it and nobody said it."""
    if spec.date != "auto" or "strftime_now" not in template.source:
        return None
    reason = "today, which the template tells"
    return Decision(place="data.date", value=template.day.isoformat(), reason=reason)


def spoken(purpose: Purpose, tokenizer: Tokenizer) -> Documents:
    """What a network learns from conversations: texts that begin as the template has it, behind
    nothing that ends another one."""
    numbers = {name: tokenizer.special(name) for name in purpose.specials}
    return Documents(
        vocab=tokenizer.size,
        specials={name: number for name, number in numbers.items() if number is not None},
        opening="nothing" if tokenizer.opening is None else tokenizer.opening,
    )


def _fingerprint(encoded: Mapping[Split, Sequence[ChatTokens]], tokenizer: Tokenizer) -> str:
    """Of every token, of what is learned, and of every split."""
    digest = hashlib.blake2b(tokenizer.fingerprint.encode(), digest_size=16)
    for split, rows in encoded.items():
        digest.update(f"\0{split} {len(rows)}".encode())
        for row in rows:
            digest.update(row.tokens.tobytes() + row.learned.tobytes() + b"\0")
    return digest.hexdigest()


def _sentence(
    found: FoundChat[Conversation], template: ChatTemplate, train: RowExamples, fitted: Fitted
) -> str:
    rows = counted(len(train), "training row")
    return (
        f"{found.recognised}; rendered by {template.told}; {rows} of "
        f"{train.signal.shape[0]:,} tokens, {train.fill:.1%} filled; {fitted.learned:,} of "
        f"{fitted.tokens:,} tokens are learned"
    )
