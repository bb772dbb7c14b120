"""The pages of the documentation, taken apart: fenced blocks, inline code, links, headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block, and the one that stands right after it as its output, if any."""

    language: str
    text: str
    output: str | None


def pages() -> list[Path]:
    """List README, CHANGELOG and every page of docs/."""
    return [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def name_of(page: Path) -> str:
    """Name a page as the repository does."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    """Read a page."""
    return page.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """List a page's fenced blocks; a ``text`` block with nothing between is the output of the one before it."""
    found = list(BLOCK.finditer(text))
    outputs: list[str | None] = [None] * len(found)
    for number, (block, after) in enumerate(pairwise(found)):
        if after[1] == "text" and not text[block.end() : after.start()].strip():
            outputs[number] = after[2]
    return [Block(block[1], block[2], output) for block, output in zip(found, outputs, strict=True)]


def sessions(text: str) -> list[Block]:
    """List the shell blocks whose output stands right after them: they are run as they stand."""
    return [block for block in blocks(text) if block.language == "sh" and block.output is not None]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return BLOCK.sub("", text)


def anchors(text: str) -> set[str]:
    """Name the headings of a page as links to them do."""
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in HEADING.findall(prose(text))}
