"""Records made by hand, and a parser that refuses a malformed or an online page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aliquot.selection import Certificate, Selection, Sensitivity, SuggestedStop
from aliquot.structures import Column, Frames
from aliquot.table import Features

VOID = {"meta", "br", "img", "hr", "image", "wbr"}
FRAMES_FROM = Callable[..., Frames]


def frames_of(images: Sequence[Atoms], file: str = "pool.xyz") -> Frames:
    """Frames of ASE atoms, with the keys that all of them have or only some."""
    n = len(images)
    sizes = [len(a) for a in images]

    def column(key: str, per_atom: bool) -> Column | None:
        holders = [a.arrays if per_atom else a.info for a in images]
        has = np.array([key in h for h in holders], bool)
        if not has.any():
            return None
        if per_atom:
            blank = [h.get(key, np.zeros((len(a), 3))) for h, a in zip(holders, images, strict=True)]
            return Column(np.concatenate(blank), has)
        kind = type(next(h[key] for h in holders if key in h))
        return Column(np.array([h.get(key, kind()) for h in holders]), has)

    return Frames(
        numbers=np.concatenate([a.numbers for a in images] or [[]]).astype(np.int32),
        positions=np.concatenate([a.positions for a in images] or [np.zeros((0, 3))]),
        cells=np.array([a.cell[:] for a in images]).reshape(n, 3, 3),
        pbc=np.array([a.pbc for a in images], bool).reshape(n, 3),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        files=(file,),
        file=np.zeros(n, np.int32),
        frame=np.arange(n),
        frame_columns={k: c for k in ("config_type", "REF_energy") if (c := column(k, False))},
        atom_columns={k: c for k in ("REF_forces",) if (c := column(k, True))},
    )


@pytest.fixture(name="frames_of")
def frames_of_fixture() -> FRAMES_FROM:
    return frames_of


@dataclass
class Records:
    """Arguments of ``write_report``, to be changed one by one."""

    selection: Selection
    features: Features
    pool: Frames
    optional: dict[str, Any] = field(default_factory=dict)

    def choose(self, index: Sequence[int], **changes: Any) -> Records:
        """The same with other picks; gains fall by half from 8 nat."""
        picks = np.array(index, np.int64)
        gain = 8.0 * 0.5 ** np.arange(len(picks))
        chosen = replace(
            self.selection,
            index=picks,
            ids=self.features.ids[picks],
            pool_size=len(self.pool),
            **{"gain": gain, **changes},
        )
        return replace(self, selection=chosen)


def copper(n: int, seed: int) -> list[Atoms]:
    """Strained cells, a slab now and then, labelled with numbers that only need to be distinct."""
    rng = np.random.default_rng(seed)
    images = []
    for i in range(n):
        atoms = fcc111("Cu", (2, 2, 3), vacuum=6.0) if i % 5 == 4 else bulk("Cu", cubic=True)
        atoms.pbc = True
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        atoms.info["config_type"] = "slab" if i % 5 == 4 else "bulk"
        atoms.info["REF_energy"] = float(-3.5 * len(atoms) + rng.normal())
        atoms.arrays["REF_forces"] = rng.normal(size=atoms.positions.shape)
        images.append(atoms)
    return images


@pytest.fixture
def records() -> Records:
    """Thirty copper structures of which six are chosen, given seven known."""
    rng = np.random.default_rng(3)
    pool, known = frames_of(copper(30, 1)), frames_of(copper(7, 2), "known.xyz")
    features = Features.from_array(rng.normal(size=(30, 5)), ids=pool.ids)
    known_features = Features.from_array(rng.normal(size=(7, 5)), ids=known.ids)
    selection = Selection(
        index=np.zeros(0, np.int64),
        ids=features.ids[:0],
        method="bayes",
        recipe={"score": "entropy", "noise": 0.001, "features": {"features": "array"}},
        stop="the budget is spent",
        pool_size=30,
        known_size=7,
        pool_hash=features.ids.digest(),
        known_hash=known_features.ids.digest(),
        gain_unit="nat",
        certificate=Certificate(15.75, 16.2, "log-determinant", "largest remaining gains"),
        suggested_stop=SuggestedStop(4, 0.0008, 0.001, "after 4 picks the noise is larger than the doubt"),
        sensitivity=Sensitivity("prior", 1e-6, {"10x": 5 / 6, "0.1x": 1.0}),
        nested=True,
        seed=11,
        timings={"read": 0.5, "select": 0.25},
        references=("A. Author, J. Tests 1, 2 (2020), doi:10.1000/abc.123",),
        notes=("one candidate is a duplicate",),
    )
    base = Records(selection, features, pool, {"known_features": known_features, "known": known})
    return base.choose([4, 0, 9, 20, 14, 3])


class Page(HTMLParser):
    """What a page says: text by section, tables, identifiers and everything it refers to."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.head: str = ""
        self._section = ""
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(markup)
        self.close()
        assert not self.stack, f"never closed: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "section":
            self._section = str(dict(attrs)["id"])
            self.sections[self._section] = ""
        elif tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1] == tag, f"</{tag}> closes <{self.stack[-1]}>"
        self.stack.pop()
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" in self.stack:
            return
        data = data.replace("\u00a0", " ")
        if "h1" in self.stack:
            self.head += data
        if "section" in self.stack:
            self.sections[self._section] += data
        if "caption" in self.stack:
            self._caption += data
        elif "td" in self.stack or "th" in self.stack:
            self._rows[-1][-1] += data

    def attributes(self, name: str) -> list[str]:
        return [str(a[name]) for _, a in self.tags if name in a]

    def assert_offline(self) -> None:
        """Nothing is fetched and nothing runs."""
        names = {tag for tag, _ in self.tags}
        assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "video", "audio"}
        assert not [a for _, attrs in self.tags for a in attrs if a.startswith("on")]
        for target in self.attributes("href"):
            assert target.startswith(("#", "https://doi.org/"))
        for target in self.attributes("src") + self.attributes("xlink:href"):
            assert target.startswith(("#", "data:image/png;base64,"))
        identifiers = self.attributes("id")
        assert len(identifiers) == len(set(identifiers))
        for target in self.attributes("href") + self.attributes("xlink:href"):
            assert not target.startswith("#") or target[1:] in identifiers


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Records], Page]:
    """Write the report of some records and read it back; it is offline whatever they are."""
    from aliquot.report import write_report

    def written(records: Records) -> Page:
        target = tmp_path / "report.html"
        out = write_report(
            target, records.selection, records.features, records.pool, force=True, **records.optional
        )
        assert out == target
        markup = target.read_text("utf-8")
        page = Page(markup)
        page.assert_offline()
        assert "nan" not in {word.strip(".,;").lower() for s in page.sections.values() for word in s.split()}
        return page

    return written


@pytest.fixture
def page_of() -> type[Page]:
    return Page
