"""Lines: the columns of portions that come from lines, and why a line can be no row."""

from __future__ import annotations

LINE, IS_ROW, REASON = "$line", "$is_row", "$reason"
"""The line itself, where it matters; whether it could be split into columns; and if not, where there are several reasons, why."""

UNREADABLE, UNCLOSED, INSIDE = "unreadable line", "unclosed quote", "inside an unclosed quote"
BAD_BYTES = "bytes of another encoding"
REASONS = (UNREADABLE, UNCLOSED, INSIDE, BAD_BYTES)
"""Why a line is no row."""
