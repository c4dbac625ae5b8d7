"""Values that an object works out once, when they are first asked for."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property as _cached_property
from typing import TYPE_CHECKING, Any

__all__ = ["cached_property"]

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property(_cached_property):  # noqa: N801  as it is called
        """That of functools, as it is from Python 3.12 on: before, all objects of a class had one lock, and a child
        that was forked while another thread held it waited for ever. Two threads may work out the same value."""

        def __init__(self, work: Any) -> None:
            super().__init__(work)
            self.lock = nullcontext()
