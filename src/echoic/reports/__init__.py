"""Reports show what `evaluation` computes: sections, pages, model cards, pictures of a result.

format.py                                         how figures are written for people
sections.py                                       the parts of a report
analysis.py robustness.py confusions.py streams.py    sections of each kind of figure
pictures.py                                       the pictures that a result names
page.py card.py templates/                        HTML and Markdown, from templates
report.py                                         what goes into which folder
"""

from echoic.reports.analysis import analysis_sections
from echoic.reports.card import write_card
from echoic.reports.page import write_page
from echoic.reports.pictures import pictures
from echoic.reports.report import record, write_report
from echoic.reports.robustness import robustness_sections
from echoic.reports.sections import Section, Sound, Tile

__all__ = [
    "Section",
    "Sound",
    "Tile",
    "analysis_sections",
    "pictures",
    "record",
    "robustness_sections",
    "write_card",
    "write_page",
    "write_report",
]
