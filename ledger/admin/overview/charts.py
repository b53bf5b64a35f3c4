"""Charts as the theme's Chart.js takes them, each with the table of the same figures behind it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Read as well on white as on black.
_GRAY = "#7b8494"
_LINES = "#8888884d"
BLUE, ORANGE, GREEN, RED = "#4f74ee", "#e0862c", "#26a269", "#e0483e"


@dataclass(frozen=True, slots=True)
class Series:
    """One line or row of bars: what is drawn (plain numbers), and how the table says it."""

    title: str
    color: str
    values: Sequence[str | int]
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """`labels` name the points; `links` lead from them where there is somewhere to go."""

    key: str
    title: str
    of: str
    unit: str
    labels: Sequence[str]
    series: Sequence[Series]
    kind: str = "line"
    sideways: bool = False
    links: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(float(value) for series in self.series for value in series.values)

    @property
    def height(self) -> int:
        """Pixels."""
        return 60 + 44 * max(3, len(self.labels)) if self.sideways else 280

    @property
    def data(self) -> str:
        """Chart.js' `data`, in JSON."""
        labels = [_lines(label) if self.sideways else label for label in self.labels]
        return json.dumps({"labels": labels, "datasets": [self._drawn(each) for each in self.series]})

    @property
    def options(self) -> str:
        """Chart.js' `options`, in JSON."""
        amounts, names = ("x", "y") if self.sideways else ("y", "x")
        return json.dumps(
            {
                "animation": False,
                "responsive": True,
                "maintainAspectRatio": False,
                "indexAxis": names,
                "interaction": {"mode": "index", "intersect": False, "axis": names},
                "plugins": {
                    "legend": {
                        "display": len(self.series) > 1,
                        "align": "end",
                        "labels": {"usePointStyle": True, "boxWidth": 8, "boxHeight": 8, "color": _GRAY},
                    }
                },
                "scales": {
                    amounts: {
                        "beginAtZero": True,
                        "border": {"display": False},
                        "grid": {"display": True, "color": _LINES},
                        "ticks": {"color": _GRAY, "maxTicksLimit": 6},
                        "title": {"display": True, "text": self.unit, "color": _GRAY},
                    },
                    names: {
                        "border": {"display": False},
                        "grid": {"display": False},
                        "ticks": {
                            "color": _GRAY,
                            "maxRotation": 0,
                            "autoSkip": not self.sideways,
                            "maxTicksLimit": 40 if self.sideways else 9,
                        },
                    },
                },
            }
        )

    @property
    def rows(self) -> list[tuple[str, str, list[str]]]:
        """The table: name, where it leads (or ""), and a text for each series."""
        links = self.links or [""] * len(self.labels)
        texts = zip(*(series.texts for series in self.series), strict=True)
        lines = zip(self.labels, links, texts, strict=True)
        return [(label, link, list(cells)) for label, link, cells in lines]

    def _drawn(self, series: Series) -> dict[str, Any]:
        look: dict[str, Any] = {"borderColor": series.color, "backgroundColor": series.color}
        if self.kind == "line":
            look |= {
                "borderWidth": 2,
                "cubicInterpolationMode": "monotone",
                "pointRadius": 0 if len(self.labels) > 1 else 3,
                "pointHitRadius": 12,
                "pointStyle": "circle",
            }
        else:
            look |= {"borderRadius": 3, "maxBarThickness": 22, "pointStyle": "circle"}
        return {"label": series.title, "data": list(series.values), **look}


def _lines(label: str) -> list[str]:
    """A long name on two lines, at its slash, so that a phone has room for it."""
    maker, slash, name = label.partition("/")
    return [maker + slash, name] if slash and len(label) > 16 else [label]
