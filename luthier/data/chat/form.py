"""What a finished model keeps of its chat template, beside the template itself."""

from __future__ import annotations

from datetime import date

from luthier.data.chat.template import ChatTemplate
from luthier.spec import Many, Spec


class ChatForm(Spec):
    """How conversations become texts: kept with a finished model."""

    names: dict[str, str]
    """Of special tokens, by what the template calls them."""
    stops: Many[int]
    """The tokens that end a reply."""
    day: str
    """What the template was told of the day."""

    def template(self, source: str, told: str = "the model's template") -> ChatTemplate:
        """The template whose source this is, called `told` in messages."""
        return ChatTemplate(source, self.names, told, date.fromisoformat(self.day))
