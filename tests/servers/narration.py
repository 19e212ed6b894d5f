"""What a demonstration prints, as it happens: numbered steps, plain words, and what programs really wrote."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

_WIDTH = 110


class Narrator:
    def __init__(self) -> None:
        self._steps = 0
        self._blank = False

    def step(self, title: str) -> None:
        self._steps += 1
        self._space()
        self._print(f"== {self._steps}. {title}")
        self._space()

    def say(self, text: str) -> None:
        self._space()
        self._print(textwrap.fill(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False))
        self._space()

    def show(self, text: str) -> None:
        """As it is."""
        self._print(textwrap.indent(text.strip("\n"), "    "))

    def wrote(self, program: str, lines: Sequence[str]) -> None:
        """The first of a program's lines that differ in nothing that matters here, and how many there are."""
        times = f"  ({len(lines)} such lines)" if len(lines) > 1 else ""
        self._print(
            textwrap.fill(
                lines[0].strip() + times,
                _WIDTH,
                initial_indent=f"    {program:<10} | ",
                subsequent_indent=f"    {'':<10} |   ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    def _space(self) -> None:
        if not self._blank:
            print(flush=True)
        self._blank = True

    def _print(self, text: str) -> None:
        print(text, flush=True)
        self._blank = False
