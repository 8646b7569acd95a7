"""The one kind of error that what staff wrote can have: words for the field it stands at."""

from __future__ import annotations


class SourceError(ValueError):
    """What staff wrote cannot become a mail; the message says why and in which line."""

    def __init__(self, message: str, *, line: int = 0, field: str = "body") -> None:
        super().__init__(f"Line {line}: {message}" if line else message)
        self.line = line
        """The line of the source, from 1; 0 where there is only one or it is not known."""
        self.field = field
        """The form's field that it stands in: subject, preheader, body or template."""

    def at(self, field: str) -> SourceError:
        """The same error, at this field."""
        self.field = field
        return self
