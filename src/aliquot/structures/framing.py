"""Where does each frame of an extended-XYZ file begin and end? Where the counts say, if they can be right.

A frame is a line with the number of atoms, a comment line, and that many lines. Nothing marks a frame but the
count, so one wrong count would make nonsense of everything after it. A frame is therefore accepted only when
what follows it can be the next frame; otherwise the reader looks for the next place that can, and says which
frame it has given up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Fault", "Place", "blocks"]

#: Text read at a time, bytes.
CHUNK: Final = 4 * 2**20

#: Text searched for the end of one frame before giving up, bytes.
LARGEST_FRAME: Final = 2**30

#: No line of an atom is shorter than this, in bytes ("H 0 0 0" and its end); one with a count usually is.
_SHORTEST_ATOM_LINE: Final = 8

#: No line with a count is longer than this, in bytes.
_LONGEST_COUNT_LINE: Final = 80


@dataclass(frozen=True)
class Fault:
    """A frame that cannot be used: its number in the file (-1: the whole file) and what is wrong with it."""

    frame: int
    problem: str


class Place(NamedTuple):
    """One frame in a block: its number in the file, and byte positions in the text of the block.

    The comment begins at ``comment``, the atom lines at ``table``, lattice vectors given as ``VEC`` lines at
    ``vectors``; the frame ends before ``stop``.
    """

    number: int
    n_atoms: int
    start: int
    comment: int
    table: int
    vectors: int
    stop: int


@dataclass(frozen=True)
class Block:
    """Whole frames cut out of a file, the faults met among them, and where the text lies in the file.

    No line of the text is longer than ``longest_line`` bytes.
    """

    text: bytes
    offset: int
    longest_line: int = 0
    places: list[Place] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def blocks(
    read: Callable[[int], bytes], *, max_frames: int | None = None, chunk: int = CHUNK
) -> Iterator[Block]:
    """Cut a stream into blocks of whole frames.

    Parameters
    ----------
    read : callable
        ``read(n)`` gives the next ``n`` bytes or fewer, and none at the end.
    max_frames : int, optional
        Most frames in one block.
    chunk : int
        Text to read at a time, bytes.

    Yields
    ------
    Block
        In the order of the file; memory is a few chunks, or a few times the largest frame.
    """
    text, offset, number, final = b"", 0, 0, False
    while not final:
        more = read(max(chunk, len(text)))
        final = not more
        text += more
        if offset == 0 and text.startswith(b"\xef\xbb\xbf"):
            text, offset = text[3:], 3
        if b"\0" in more:
            yield Block(
                b"", offset, faults=[Fault(-1, "is not text: it holds NUL bytes; is it another format?")]
            )
            return
        if final and text and not text.endswith(b"\n"):
            text += b"\n"
        cutter = _Cutter(text, number, final=final)
        cutter.cut()
        yield from _portions(cutter, offset, max_frames)
        text, offset, number = text[cutter.done :], offset + cutter.done, cutter.number
        if len(text) > LARGEST_FRAME:
            problem = f"no frame ends within {LARGEST_FRAME >> 20} MB of text; is it extended XYZ?"
            yield Block(b"", offset, faults=[Fault(number, problem)])
            return


def _portions(cutter: _Cutter, offset: int, max_frames: int | None) -> Iterator[Block]:
    places, step = cutter.places, max_frames or max(len(cutter.places), 1)
    for i in range(0, max(len(places), 1), step):
        last = i + step >= len(places)
        limit = np.inf if last else places[i + step].number
        faults = [f for f in cutter.faults if (i == 0 or f.frame > places[i].number) and f.frame < limit]
        if places[i : i + step] or faults:
            yield Block(cutter.text, offset, cutter.longest, places[i : i + step], faults)


class _Cutter:
    """Cuts the frames out of one piece of text; what is incomplete at its end waits for more."""

    def __init__(self, text: bytes, number: int, *, final: bool) -> None:
        self.text, self.number, self.final = text, number, final
        ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10)
        self.n_lines = len(ends)
        self._starts = np.concatenate(([0], ends + 1))
        self._start_of = self._starts.item  # the start of a line as a Python integer
        self.lengths: NDArray[np.int64] = np.diff(self._starts)
        self.longest = int(self.lengths.max(initial=0))
        self.short: list[int] = np.flatnonzero(self.lengths < _SHORTEST_ATOM_LINE).tolist()
        self.places: list[Place] = []
        self.faults: list[Fault] = []
        self.done = 0

    def cut(self) -> None:
        """Fill ``places`` and ``faults``; ``done`` is where the text is used up."""
        line = self._skip_blank(0)
        while line < self.n_lines:
            line = self._regular_frames(line)
            after = self._one_frame(line)
            if after is None:  # more text is needed
                return
            line = self._skip_blank(after)
            self.done = self._start_of(line)
        if self.final:
            self.done = len(self.text)

    def _regular_frames(self, line: int) -> int:
        """Take frames from ``line`` on while nothing is unusual about them; the line where that ends.

        Does what :meth:`_one_frame` does for a frame that is followed by another at once, only faster.
        """
        text, start_of = self.text, self._start_of
        counts: dict[bytes, int | None] = {}
        number, places = self.number, self.places
        count = self._count(line)
        while count:
            end = line + 2 + count
            if end >= self.n_lines or self._hides_header(line + 2, end):
                break
            stop = start_of(end)
            header = text[stop : start_of(end + 1)]
            following = counts[header] if header in counts else counts.setdefault(header, self._count(end))
            if following is None:
                break
            at = start_of(line), start_of(line + 1), start_of(line + 2)
            places.append(Place(number, count, *at, stop, stop))
            number += 1
            line, count = end, following
        self.number = number
        self.done = start_of(line)
        return line

    def _one_frame(self, line: int) -> int | None:
        """Take or refuse the frame whose count stands at ``line``; the line after it, or None to wait."""
        count = self._count(line)
        if count is None:
            return self._refuse(line, f"expected the number of atoms, found {self._show(line)}", line + 1)
        end = line + 2 + count
        if end > self.n_lines:
            if not self.final and not self._next_header(line + 2):
                return None
            found = self.n_lines - line - 2
            problem = f"the file ends after {max(found, 0)} of {count} atoms; it is truncated"
            header = self._next_header(line + 2)
            if header is not None:
                problem = (
                    f"{count} atoms are announced, {header - line - 2} lines follow before the next frame"
                )
            return self._refuse(line, problem, line + 2)
        vectors, end = end, self._skip_vectors(end)
        following = self._skip_blank(end)
        if following >= self.n_lines and not self.final:
            return None
        if following < self.n_lines and self._count(following) is None:
            return self._wrong_count(line, end, following, count)
        if self._hides_header(line + 2, vectors):
            header = self._next_header(line + 2)
            if header is not None and header < vectors:
                problem = (
                    f"{count} atoms are announced, {header - line - 2} lines follow before the next frame"
                )
                return self._refuse(line, problem, line + 2)
        self._accept(line, count, vectors, end)
        return end

    def _accept(self, line: int, count: int, vectors: int, end: int) -> None:
        at = [self._start_of(k) for k in (line, line + 1, line + 2, vectors, end)]
        self.places.append(Place(self.number, count, *at))
        self.number += 1

    def _wrong_count(self, line: int, end: int, following: int, count: int) -> int | None:
        """Tell which is wrong: the frame at ``line``, or what follows it and is no frame."""
        header = self._next_header(line + 2)
        if header is None and not self.final:
            return None
        stop = self.n_lines if header is None else header
        if header is not None and header < end:
            problem = f"{count} atoms are announced, {header - line - 2} lines follow before the next frame"
        elif following == end and self._looks_like_atom(following):
            problem = f"{count} atoms are announced, {stop - line - 2} lines follow"
        else:  # the frame is sound; what follows it is not
            self._accept(line, count, end, end)
            return end
        return self._refuse(line, problem, line + 2)

    def _refuse(self, line: int, problem: str, search_from: int) -> int | None:
        """Give the frame at ``line`` up; go on at the next place that can be a frame."""
        header = self._next_header(search_from)
        if header is None and not self.final:
            return None
        self.faults.append(Fault(self.number, problem))
        self.number += 1
        return self.n_lines if header is None else header

    # --- lines ----------------------------------------------------------------------------------------------

    def _line(self, line: int) -> bytes:
        return self.text[self._start_of(line) : self._start_of(line + 1)]

    def _show(self, line: int) -> str:
        return repr(self._line(line).strip()[:60].decode(errors="replace"))

    def _count(self, line: int) -> int | None:
        """The number of atoms that a line states, None if it states none."""
        word = self._line(line).strip()
        return (
            int(word)
            if word.isdigit() and len(word) < 12 and self.lengths[line] <= _LONGEST_COUNT_LINE
            else None
        )

    def _skip_blank(self, line: int) -> int:
        while line < self.n_lines and self.text[self._start_of(line) : self._start_of(line + 1)].isspace():
            line += 1
        return line

    def _skip_vectors(self, line: int) -> int:
        """Past up to three lines of lattice vectors, as ASE writes them with ``vec_cell``."""
        for _ in range(3):
            if line < self.n_lines and self._line(line).lstrip().startswith(b"VEC"):
                line += 1
        return line

    def _looks_like_atom(self, line: int) -> bool:
        words = self._line(line).replace(b",", b" ").split()
        if len(words) < 4:
            return False
        try:
            [float(w.replace(b"D", b"E")) for w in words[1:4]]
        except ValueError:
            return False
        return True

    def _hides_header(self, first: int, stop: int) -> bool:
        """Whether a line among the atoms is too short to be an atom."""
        after = bisect_left(self.short, first)
        return after < len(self.short) and self.short[after] < stop

    def _next_header(self, line: int) -> int | None:
        """The next line from ``line`` on that states a count and is followed by a comment and an atom."""
        near = np.flatnonzero(self.lengths[line:-2] <= _LONGEST_COUNT_LINE)
        for candidate in (line + near).tolist():
            if self._count(candidate) is not None and self._looks_like_atom(candidate + 2):
                return candidate
        return None
