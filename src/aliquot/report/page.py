"""The skeleton of the page and the style sheet (``page.css``) in one file: nothing fetched, nothing executed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Final

from aliquot.report.tables import text

__all__ = ["facts", "figure", "page", "section", "tile"]

#: The policy forbids every request and every script, should anything in the page ask for one.
_PAGE: Final = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>$css</style>
</head>
<body>
<a class="skip" href="#$first">Skip to the report</a>
<header>
<p class="kicker">aliquot · $kicker</p>
<h1>$title</h1>
<p class="lede">$lede</p>
<dl class="tiles">
$tiles
</dl>
<nav aria-label="Sections"><ol>
$contents
</ol></nav>
</header>
<main>
$body
</main>
<footer><p>$footer</p></footer>
</body>
</html>
"""
)


def page(
    title: str,
    *,
    lede: str,
    tiles: Sequence[str],
    sections: Sequence[tuple[str, str, str]],
    footer: str,
    kicker: str = "selection report",
) -> str:
    """The whole document.

    Parameters
    ----------
    title : str
        Plain text; escaped here. Everything else is markup.
    lede : str
        The result in two or three sentences.
    tiles : sequence of str
        From :func:`tile`.
    sections : sequence of (str, str, str)
        Identifier, heading (plain) and content of each.
    footer : str
    kicker : str
        What sort of page it is.
    """
    return _PAGE.substitute(
        title=text(title),
        kicker=kicker,
        first=sections[0][0],
        css=files("aliquot.report").joinpath("page.css").read_text("utf-8"),
        lede=lede,
        tiles="\n".join(tiles),
        contents="\n".join(f'<li><a href="#{key}">{key.capitalize()}</a></li>' for key, _, _ in sections),
        body="\n".join(section(key, head, content) for key, head, content in sections),
        footer=footer,
    )


def tile(value: str, meaning: str) -> str:
    """One key number and what it is."""
    return f'<div class="tile"><dt>{meaning}</dt><dd>{value}</dd></div>'


def section(key: str, head: str, content: str) -> str:
    """One section under its heading."""
    return (
        f'<section id="{key}" aria-labelledby="{key}-head">'
        f'<h2 id="{key}-head">{text(head)}</h2>\n{content}\n</section>'
    )


def figure(drawing: str, caption: str) -> str:
    """A drawing and what it shows (markup)."""
    words = f"\n<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{drawing}{words}</figure>"


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and what they are (markup); what is empty is left out."""
    return '<dl class="facts">' + "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in pairs if v) + "</dl>"
