"""Reports: figures, pictures and sounds of an evaluation, as a page, as JSON and in the card."""

from echoic.reports.page import write_page
from echoic.reports.report import record, write_report
from echoic.reports.sections import Section, Sound, Tile

__all__ = ["Section", "Sound", "Tile", "record", "write_page", "write_report"]
