"""What the client has of a streamed answer, kept so that the answer can be gone on with."""

from __future__ import annotations

from proxy.core.chat import Event, Kind
from proxy.core.seam import MAX_SENT, Sent, sent_of
from proxy.core.ways import Partial


class Story:
    """Kept once, as text; beyond `MAX_SENT` characters it is let go of."""

    __slots__ = ("choices", "first", "others", "parts", "reasoned", "too_long")

    def __init__(self) -> None:
        self.first = b""
        """The first event that was sent: it has the answer's id."""
        self.parts: list[str] = []
        self.others: list[bytes] = []
        """Events with tool calls or reasoning."""
        self.too_long = False
        self.reasoned = False
        self.choices = 1

    def note(self, event: Event) -> None:
        """This event goes to the client now."""
        if not self.first:
            self.first = event.raw
        if event.text:
            self.parts.append(event.text)
        if event.kind is Kind.TOOL or event.kind is Kind.REASONING:
            self.others += [part + b"\n\n" for part in event.raw.split(b"\n\n") if part]

    def bound(self, chars: int, choices: int) -> None:
        """`chars` of it were received, of so many choices."""
        self.choices = max(self.choices, choices)
        if chars > MAX_SENT:
            self.too_long = True
            self.parts.clear()
            self.others.clear()

    @property
    def text(self) -> str:
        """All content."""
        if len(self.parts) > 1:
            self.parts = ["".join(self.parts)]
        return self.parts[0] if self.parts else ""

    def partial(self) -> Partial:
        """What the choice of a way needs to know."""
        return Partial(len(self.text), not self.others, self.too_long or not self.first, self.choices)

    def sent(self) -> Sent:
        """What the seam needs to know."""
        return sent_of(self.first, self.text, self.others)
