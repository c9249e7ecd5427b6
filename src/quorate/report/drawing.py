"""Matplotlib held on a lead: no global state is left changed, no clock and no chance get in, and what comes out is SVG
that can stand in a page.

Colours are those of Okabe and Ito, which the colour-blind can tell apart; a form, a pattern or a word always says the
same as the colour.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

BLUE, SKY, VERMILLION, ORANGE, GREEN = "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73"
BLACK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#e4e4e4"
WIDTH = 10.4
"""Inches: what a page of the report is wide, at 96 pixels an inch."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, sharp, and found by a search
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: measures alike everywhere
    "font.size": 8.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.5,
    "hatch.linewidth": 0.7,
    "text.color": BLACK,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
}
_PROLOGUE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACE = re.compile(r"\sxmlns(?::\w+)?=\"[^\"]*\"")
_ID = re.compile(r"\sid=\"([^\"]*)\"")
_USED = re.compile(r"(?:href=\"|url\()#([^\")]+)")
_COORDINATES = re.compile(r"(?<= d=\")[^\"]*|(?<= x=\")[^\"]*|(?<= y=\")[^\"]*")
_DECIMALS = re.compile(r"(\.\d\d)\d+")


@contextmanager
def settings(salt: str) -> Iterator[None]:
    """Draw within this; `salt` makes the names within one picture differ from those of every other on the page."""
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}), warnings.catch_warnings():
        # Only measures of a name in a script that DejaVu lacks are off then: the reader's own font draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def svg(figure: Figure, label: str) -> Markup:
    """Turn a figure into an element of a page: no prologue, no namespace, no name that nothing refers to."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = _NAMESPACE.sub("", _PROLOGUE.sub("", out.getvalue())).replace("xlink:href=", "href=").strip()
    used = set(_USED.findall(text))
    text = _ID.sub(lambda found: found[0] if found[1] in used else "", text)
    text = _COORDINATES.sub(lambda found: _DECIMALS.sub(r"\1", found[0]), text)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))  # noqa: S704 - matplotlib escapes


def bare(axes: Axes) -> None:
    """Take away the frame, but for the line below."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def figure(height: float) -> Figure:
    """Make an empty picture of the page's width. It belongs to nobody but its maker (no pyplot)."""
    return Figure(figsize=(WIDTH, height))
