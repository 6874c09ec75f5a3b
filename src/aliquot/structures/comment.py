"""Which keys and values does a comment line of extended XYZ hold, and how is one written? As ASE reads it.

The grammar is what files in the field contain rather than what one standard says: ``key=value`` pairs with
values bare, in quotes, in braces or in brackets; numbers, logicals, vectors, matrices, text, and ``_JSON …``
for everything else (ASE's convention). Whatever :func:`format_item` writes, :func:`parse_comment` reads back
with the same type, shape and bits, and so does ASE.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOGICALS", "format_item", "parse_comment", "parse_value", "value_text", "writable_key"]

LOGICALS: Final = {
    **dict.fromkeys(("T", "True", "true", "TRUE"), True),
    **dict.fromkeys(("F", "False", "false", "FALSE"), False),
}

#: Items seen before: the same lattice, columns and tags stand in frame after frame.
_MEMORY: Final[dict[tuple[str, ...], tuple[str, Any]]] = {}
_MOST_REMEMBERED: Final = 4096

_NOT_FINITE: Final = frozenset({"nan", "inf", "infinity"})

#: Keys that ASE reads and writes as nine numbers in column-major order.
_COLUMN_MAJOR: Final = frozenset({"virial", "stress"})

#: Keys whose value is text even where it looks like a number.
_TEXT_KEYS: Final = frozenset({"uid"})

_ITEM = re.compile(
    r"""\s*(?:([^\s="]+)|"([^"\\]*(?:\\.[^"\\]*)*)"(?=\s*=)|([^\s=]+))  # 1, 2, 3: key bare, in quotes, odd
    (?:(\s*=\s*)                                         # 4: absent for a flag
      (?:"([^"\\]*(?:\\.[^"\\]*)*)"                      # 5: value in double quotes
       |'([^'\\]*(?:\\.[^'\\]*)*)'(?=\s|$)               # 6: in single quotes
       |([\[{](?:[^\[\]{}]|[\[{][^\[\]{}]*[\]}])*[\]}])  # 7: in brackets or braces, two deep
       |(\S*)))?                                         # 8: bare
    """,
    re.VERBOSE,
)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)\Z")
#: Digits with leading zeros and no point ("0012") are an identifier, not a number: they stay text.
_REAL = re.compile(
    r"[+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+|(?:0|[1-9][0-9]*)(?=[eEdD]))(?:[eEdD][+-]?[0-9]+)?\Z"
    r"|[+-]?(?:nan|inf|infinity)\Z",
    re.IGNORECASE,
)
_POINTED = re.compile(r"[+-]?[0-9]+\.[0-9]+\Z")
_decode_json = json.JSONDecoder().raw_decode
_ESCAPED = re.compile(r"\\([\"'\\])")
_BARE_VALUE = re.compile(r"[\w.:/+@%-]+\Z")
_BARE_KEY = re.compile(r"[A-Za-z_][\w.:/+@%-]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def parse_comment(text: str) -> dict[str, Any]:
    r"""Keys and values of one comment line.

    Values are ``bool``, ``int``, ``float``, ``str``, arrays, or whatever JSON held. A line without any ``=`` is
    prose and comes back under the key ``comment``.

    Raises
    ------
    ValueError
        If a quote is never closed.

    Examples
    --------
    >>> parse_comment(r'energy=-1.5 config_type=liquid pbc="T T F" step = 12, note="a \"b\"" relaxed')
    {'energy': -1.5, 'config_type': 'liquid', 'pbc': array([ True,  True, False]), 'step': 12,
     'note': 'a "b"', 'relaxed': True}
    """
    if "=" not in text:
        prose = text.strip()
        return {"comment": prose} if prose else {}
    items: dict[str, Any] = {}
    for raw in _ITEM.findall(text):
        item = _MEMORY.get(raw)
        if item is None:
            item = _parse_item(*raw)
            _remember(raw, item)
        items[item[0]] = item[1]
    return items


def _remember(raw: tuple[str, ...], item: tuple[str, Any]) -> None:
    """Keep an item that other frames may have too; its value will be shared, so it must not change."""
    value = item[1]
    if isinstance(value, np.ndarray) and value.dtype != object:
        value.setflags(write=False)
    elif not isinstance(value, str | bool):
        return
    if len(_MEMORY) >= _MOST_REMEMBERED:
        _MEMORY.clear()
    _MEMORY[raw] = item


def _parse_item(
    key: str, quoted_key: str, odd_key: str, equals: str, double: str, single: str, group: str, bare: str
) -> tuple[str, Any]:
    """Key and value of one match of :data:`_ITEM`."""
    name = key or odd_key or _ESCAPED.sub(r"\1", quoted_key)
    if not equals:
        return name, True
    if group:
        return name, _parse_group(group)
    if bare.startswith('"'):
        raise ValueError(f"the quote in {name}={bare[:40]}… is never closed")
    value = double or single or bare
    if "\\" in value and not bare:
        value = _ESCAPED.sub(r"\1", value)
    return name, _parse_keyed(name, value)


def _parse_keyed(key: str, text: str) -> Any:
    """The value of a text, where the key has a say in it."""
    if _POINTED.match(text) and key not in _TEXT_KEYS:
        return float(text)  # the common case of what follows, and not worth remembering
    if key in _COLUMN_MAJOR:
        value = parse_value(text)
        nine = isinstance(value, np.ndarray) and value.shape == (9,) and not text.startswith("_JSON ")
        return value.reshape(3, 3).T if nine else value
    if key in _TEXT_KEYS and not text.startswith("_JSON "):
        return text
    return parse_value(text)


def parse_value(text: str) -> Any:
    """The value that a piece of text stands for; text that is nothing else stays text.

    >>> parse_value("1.5D-3"), parse_value("0012"), parse_value("T"), parse_value("1 2 3")
    (0.0015, '0012', True, array([1, 2, 3]))
    """
    if text.startswith("_JSON "):
        try:
            value, end = _decode_json(text, 6)
        except ValueError:
            return text
        if end < len(text) and text[end:].strip():
            return text
        return _from_json(value, text)
    if not text or len(text) > 100_000:
        return text
    words = text.replace(",", " ").split()
    if not words:
        return text
    if len(words) == 1 and text.isalpha() and text not in LOGICALS and text.lower() not in _NOT_FINITE:
        return text
    values = _logicals(words) or _numbers(words)
    if values is None:
        return text
    if len(values) == 1:
        return values[0]
    return np.array(values)


def _logicals(words: list[str]) -> list[bool] | None:
    return [LOGICALS[w] for w in words] if all(w in LOGICALS for w in words) else None


def _numbers(words: list[str]) -> list[int] | list[float] | None:
    """The words as integers if all are, else as reals if all are, else None."""
    if all(map(_INTEGER.match, words)):
        integers = [int(w) for w in words]
        return integers if all(-(2**63) <= i < 2**63 for i in integers) else None
    reals: list[float] = []
    for word in words:
        if not (_REAL.match(word) or _INTEGER.match(word)):
            return None
        try:
            real = float(word)
        except ValueError:  # Fortran's exponent letter
            real = float(word.replace("D", "E").replace("d", "e"))
        if math.isinf(real) and any(c.isdigit() for c in word):
            return None  # "12e456" is an identifier
        reals.append(real)
    return reals


def _from_json(value: Any, text: str) -> Any:
    """JSON lists of one type and shape as arrays; everything else as it is."""
    if not isinstance(value, list):
        return value
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return value
    if array.dtype.kind in "if" and not ("true" in text or "false" in text):
        return array
    same = array.dtype.kind in "Ub" and array.tolist() == value
    return array if same else value


def _parse_group(text: str) -> Any:
    """``[1, 2, 3]``, ``[[T, F], [F, T]]``, ``{1 2 3}``; text where the content is none of these."""
    inner = text[1:-1]
    if text[0] == "{":
        value = parse_value(inner)
        return text if isinstance(value, str) and ":" in inner else value
    try:
        return _from_json(json.loads(text), text)
    except ValueError:
        pass
    rows = re.findall(r"\[([^\[\]]*)\]", inner)
    values = [np.atleast_1d(parse_value(row)) for row in rows or [inner]]
    if any(v.dtype.kind == "U" or v.shape != values[0].shape for v in values):
        return parse_value(inner)
    return np.array(values) if rows else values[0]


# --- writing ------------------------------------------------------------------------------------------------


def writable_key(key: str) -> bool:
    """Whether a key can stand in a comment line; others travel inside a JSON value."""
    return bool(key) and not _CONTROL.search(key)


def format_item(key: str, value: Any) -> str:
    r"""``key=value`` as text that reads back with the same type, shape and bits.

    Raises
    ------
    TypeError
        If the value is an object that JSON cannot hold.

    Examples
    --------
    >>> print(format_item("config_type", "liquid 2"), format_item("id", "12"))
    config_type="liquid 2" id="_JSON \"12\""
    >>> print(format_item("dipole", np.array([1.0, 2.5])), format_item("relaxed", True))
    dipole="1.0 2.5" relaxed=T
    """
    name = key if _BARE_KEY.match(key) else _quoted(key)
    text = value_text(value, key)
    return f"{name}={text if _BARE_VALUE.match(text) else _quoted(text)}"


def value_text(value: Any, key: str = "") -> str:
    """Text for which :func:`parse_value` gives the value back, or for some keys :func:`parse_comment`."""
    if isinstance(value, np.ndarray | np.generic):
        if value.ndim == 0:
            value = value.item()
        elif key in _COLUMN_MAJOR and value.shape == (3, 3) and value.dtype.kind in "if":
            return _words(value.T.ravel())
        elif _is_vector(value) and not (key in _TEXT_KEYS or (key in _COLUMN_MAJOR and len(value) == 9)):
            return _words(value)
    if isinstance(value, str) and _stays_text(key, value):
        return value
    if key not in _TEXT_KEYS:
        if isinstance(value, bool):
            return "T" if value else "F"
        if isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**63):
            return repr(value)
    return "_JSON " + json.dumps(value, default=_plain)


def _is_vector(value: NDArray[Any] | np.generic) -> bool:
    return value.ndim == 1 and value.size > 1 and value.dtype.kind in "iufb"


def _stays_text(key: str, text: str) -> bool:
    """Whether the text, written as it is, is read back as the same text."""
    if _CONTROL.search(text) or text.startswith("_JSON "):
        return False
    return key in _TEXT_KEYS or isinstance(parse_value(text), str)


def _words(values: NDArray[Any]) -> str:
    if values.dtype.kind == "b":
        return " ".join("T" if v else "F" for v in values)
    return " ".join(map(repr, values.tolist()))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: Any) -> Any:
    """What JSON can hold in place of a numpy object."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as text")
