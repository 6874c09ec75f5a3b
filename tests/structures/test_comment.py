"""Comment lines: what is in files, and what comes back of what we write."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase.io.extxyz import key_val_str_to_dict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aliquot.structures.comment import format_item, parse_comment, parse_value

from .conftest import same_values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=-1.5", -1.5),
        ("a=1.5D-03", 1.5e-3),
        ("a=.5", 0.5),
        ("a=5.", 5.0),
        ("a=1e5", 1e5),
        ("a=T", True),
        ("a=False", False),
        ("a", {}),
        ("a = 3", 3),
        ("a=3,", 3),
        ("a=liquid", "liquid"),
        ('a="two words"', "two words"),
        ("a='two words'", "two words"),
        ('a="x=y"', "x=y"),
        ('a="say \\"hi\\""', 'say "hi"'),
        ("a=C:\\data\\x", "C:\\data\\x"),
        ('a=""', ""),
        ("a=0012", "0012"),
        ("a=12e456", "12e456"),
        ("a=1_000", "1_000"),
        ("a=99999999999999999999", "99999999999999999999"),
        ("a=²", "²"),
        ('a="1 2 3"', np.array([1, 2, 3])),
        ('a="1, 2.5"', np.array([1.0, 2.5])),
        ('a="T F T"', np.array([True, False, True])),
        ("a={1 2 3}", np.array([1, 2, 3])),
        ("a=[1, 2, 3]", np.array([1, 2, 3])),
        ("a=[[1, 2], [3, 4]]", np.array([[1, 2], [3, 4]])),
        ("a=[[T, F], [F, T]]", np.array([[True, False], [False, True]])),
        ('a="_JSON [[1.5, 2], [3, 4]]"', np.array([[1.5, 2.0], [3.0, 4.0]])),
        ('a="_JSON {\\"b\\": [1, null]}"', {"b": [1, None]}),
        ('a="_JSON [true, 1]"', [True, 1]),
        ('virial="1 2 3 4 5 6 7 8 9"', np.arange(1, 10).reshape(3, 3).T),
        ("uid=12", "12"),
    ],
)
def test_values_of_the_field(text: str, value: Any) -> None:
    if text == "a":
        assert parse_comment("a b=1") == {"a": True, "b": 1}
        return
    (parsed,) = parse_comment(text).values()
    assert same_values(parsed, value), parsed


def test_prose_is_one_comment() -> None:
    assert parse_comment(" bulk silicon, 300 K ") == {"comment": "bulk silicon, 300 K"}
    assert parse_comment("") == {}


def test_cp2k_style() -> None:
    parsed = parse_comment(" i =       12, time =        6.000, E =       -17.1643447508")
    assert parsed == {"i": 12, "time": 6.0, "E": -17.1643447508}


def test_open_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="never closed"):
        parse_comment('energy=1.0 name="abc def')


def test_quoted_keys() -> None:
    assert parse_comment('"my key"=1 "odd \\"key"=2') == {"my key": 1, 'odd "key': 2}


TEXT = st.text(max_size=30)
FLOATS = st.floats(allow_nan=True, allow_infinity=True)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.one_of(
    TEXT,
    FLOATS,
    INTEGERS,
    st.booleans(),
    st.sampled_from(
        ["T", "nan", "1 2", "_JSON 3", "-0", "a=b", '"', "\\", "é ü", "[1]", "{x}", "1,2", " a ", "inf"]
    ),
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4)),
    hnp.arrays(np.int64, hnp.array_shapes(max_dims=2, max_side=9)),
    hnp.arrays(np.bool_, hnp.array_shapes(max_dims=2, max_side=4)),
)
KEYS = st.one_of(
    st.sampled_from(
        ["REF_energy", "virial", "stress", "uid", "a b", 'q"k', "x=y", "Über", "b\\c", "9lives", "a,b"]
    ),
    st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=8),
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_what_is_written_is_read_back(items: dict[str, Any]) -> None:
    line = " ".join(format_item(key, value) for key, value in items.items())
    assert "\n" not in line
    assert "\r" not in line
    parsed = parse_comment(line)
    assert list(parsed) == list(items)
    for key, value in items.items():
        assert same_values(parsed[key], value), (key, value, parsed[key])


@pytest.mark.parametrize(
    "value",
    [1, -1.5, True, "liquid", "two words", 'say "hi"', "12", "a\nb", "x=y", "C:\\data", np.array([1.5, 2.5])],
)
def test_ase_reads_what_we_write(value: Any) -> None:
    theirs = key_val_str_to_dict(format_item("key", value))["key"]
    assert np.array_equal(theirs, value)
    matrix = np.arange(9.0).reshape(3, 3)
    assert np.array_equal(key_val_str_to_dict(format_item("virial", matrix))["virial"], matrix)
    assert np.array_equal(key_val_str_to_dict(format_item("REF_virial", matrix))["REF_virial"], matrix)


@given(FLOATS.filter(lambda x: x == x))
def test_numbers_are_those_of_python(x: float) -> None:
    for text in (repr(x), f"{x:.17g}", f"{x:.25e}"):
        value = parse_value(text)
        assert float(value) == float(text)
