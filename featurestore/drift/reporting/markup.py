"""Text that comes from names and values, made safe for where it is shown."""

from __future__ import annotations

import re
from html import escape

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$@]|:(?=//)|(?<=www)\.)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def plain_text(value: object) -> str:
    r"""Return a value as one line: control characters and those that turn the direction of writing become spaces.

    >>> plain_text("a\nb")
    'a b'
    """
    return _CONTROL.sub(" ", str(value))


def markdown(value: object) -> str:
    r"""Return a value as Markdown that shows it as it is: no markup, no link, no mention, no HTML.

    >>> print(markdown("sku__rate <b> [x](y)"))
    sku\_\_rate \<b\> \[x\](y)
    """
    return _SPECIAL.sub(r"\\\1", plain_text(value))


def html(value: object) -> str:
    """Return a value as HTML text or a quoted attribute.

    >>> html('<a "b">')
    '&lt;a &quot;b&quot;&gt;'
    """
    return escape(plain_text(value))
