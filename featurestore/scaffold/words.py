"""Words in the names of columns, and what they make one think of. A guess: values decide."""

from __future__ import annotations

import re


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TIMES = _listed("event occurred happened timestamp ts datetime time date day created order purchase at")
"""Of a column that says when something happened, the likeliest first."""
OTHER_TIMES = _listed(
    "updated modified deleted delivered shipped promised estimated approved due expires birth limit carrier answer returned closed "
    "end ended registered signup"
)
"""Of one that says when something else happened."""
LEARNED_WORDS = _listed("ingested loaded extracted etl imported inserted received")
IDS = _listed("id uuid guid key code no nr num number sku ean isbn asin hash tailnum")
PEOPLE = _listed("user customer client member buyer visitor account household passenger player patient person")
THINGS = _listed(
    "product item sku article film movie book seller brand hotel stock category device city region country state store shop airport "
    "origin dest destination carrier lane channel"
)
KINDS = _listed("event type kind action activity behavior behaviour status verb transaction")
SUMS = _listed(
    "amount price cost revenue spend spent value total sales quantity qty units items cents count minutes hours seconds duration "
    "distance weight volume points fee tip fare paid cds delay"
)
NO_MEASURES = _listed("lat lon latitude longitude zip postcode year month day hour minute week version")
ROW_NUMBERS = _listed("rownames rownum unnamed index row")
_WORD = re.compile(r"[a-z]+|\d+")


def words_of(name: str) -> list[str]:
    """Split a column's name into words.

    >>> words_of("InvoiceDate"), words_of("order_purchase_timestamp"), words_of("Customer ID"), words_of("userid"), words_of("paid")
    (['invoice', 'date'], ['order', 'purchase', 'timestamp'], ['customer', 'id'], ['user', 'id'], ['paid'])
    """
    found = _WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    pairs = (
        [word[:-2], "id"] if word.endswith("id") and word[:-2] in (*PEOPLE, *THINGS, "event") else [word] for word in found
    )
    return [word for pair in pairs for word in pair]


def is_sum(name: str) -> bool:
    """Tell by its name whether adding up a number means something."""
    return not set(SUMS).isdisjoint(words_of(name))
