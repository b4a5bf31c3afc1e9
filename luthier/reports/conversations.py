"""What was learned of conversations: some of them, token by token."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.data.chat.shown import ShownConversation
from luthier.reports.amounts import count
from luthier.reports.markup import Markup, tag
from luthier.reports.page import Section, section


def conversations_section(shown: Sequence[ShownConversation]) -> Section | None:
    """Conversations as the network reads them; none where there are none."""
    if not shown:
        return None
    return section(
        "Masks",
        "What is learned",
        "Some conversations of the training split as the network reads them. Marked tokens are "
        "learned; the others are only read. A ␣ is a space.",
        tag("div", *map(_conversation, shown)),
    )


def _conversation(one: ShownConversation) -> Markup:
    stretches = [
        tag("mark" if stretch.learned else "span", *(tag("i", token) for token in stretch.tokens))
        for stretch in one.stretches
    ]
    more = tag("span.none", f"… and {count(one.more)} tokens more") if one.more else None
    before = tag("span.none", f"{count(one.before)} tokens, and then … ") if one.before else None
    return tag("div.tokens", tag("div.file", one.name), before, *stretches, more)
