"""What a reader of scores should know of what they were measured on."""

from __future__ import annotations

from luthier.data.prepared import Prepared
from luthier.data.text.documents.prepare_documents import PreparedDocuments
from luthier.evaluation.evaluate import Evaluation


def caveats(evaluation: Evaluation, prepared: Prepared, split: str) -> tuple[str, ...]:
    """Why values on a split say less, or something else, than they seem to.

    Args:
        evaluation: What was measured.
        prepared: The data.
        split: What it was measured on.
    """
    if "bits_per_byte" not in evaluation.metrics or not isinstance(prepared, PreparedDocuments):
        return ()
    unknown = prepared.tokenizer.special("unknown")
    if unknown is None:
        return ()
    streams = [
        stream for part in prepared.parts for name, stream in part.streams.items() if name == split
    ]
    found = sum(stream.count(unknown) for stream in streams)
    tokens = sum(len(stream.tokens) for stream in streams)
    if not found:
        return ()
    return (
        f"{found:,} of {tokens:,} {split} tokens ({found / tokens:.2%}) are unknown to the "
        "tokenizer: what they stand for is not predicted, but its bytes count, so that "
        "bits_per_byte is better than it should be.",
    )
