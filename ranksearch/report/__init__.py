"""Figures and the page of a study, or of several overlaid. The room of Plotly."""

from .front_figure import front_figure
from .page import write_report

__all__ = ["front_figure", "write_report"]
