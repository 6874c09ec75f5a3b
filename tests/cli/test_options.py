"""Options that are more than a word: counts, label keys, types, the cache."""

from __future__ import annotations

import pytest

from aliquot.cli.options import Reading, count
from aliquot.cli.screen import printable
from aliquot.errors import InputError
from aliquot.structures import screening


@pytest.mark.parametrize(
    ("text", "pool", "expected"),
    [
        ("200", 1000, 200),
        ("10%", 412, 41),
        ("10 %", 412, 41),
        ("0.5%", 10, 1),
        ("100%", 7, 7),
        (".5%", 1000, 5),
    ],
)
def test_count(text, pool, expected):
    assert count(text, pool) == expected


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "0%", "101%", "ten", "", "%", "1e3", "٣", "9" * 5000])
def test_count_refuses(text):
    with pytest.raises(InputError, match="-n "):
        count(text, 100)


def test_named_label_key_is_the_only_one():
    keys = Reading(energy_key="E_dft", virial_key="W").label_keys()
    assert keys.energy == ("E_dft",)
    assert keys.virial == ("W",)
    assert keys.stress == ()
    assert keys.forces[0] == "REF_forces"


def test_type_map():
    assert Reading(type_map=["1=Si", "2=O"]).types() == {1: "Si", 2: "O"}
    assert Reading(type_map=["1=Si,2=O"]).types() == {1: "Si", 2: "O"}
    assert Reading().types() is None
    with pytest.raises(InputError, match="'Si=1'"):
        Reading(type_map=["1=Si", "Si=1"]).types()


def test_default_overlap_is_that_of_the_reader():
    assert Reading().overlap == screening.OVERLAP


def test_printable_disarms_terminal_codes_and_broken_unicode():
    assert printable("Å ok\nnext") == "Å ok\nnext"
    assert printable("\x1b[2J\r\udcff") == r"\x1b[2J\r\udcff"
