"""Pages of a list that may be very long: counted up to a limit, because nobody turns ten thousand rows page by page."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

COUNTED = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """As Django's, but it stops counting at :data:`COUNTED`; the rows beyond are found by searching."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return len(rows.order_by().values_list("pk")[:COUNTED])
