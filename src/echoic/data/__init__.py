"""Speech Commands: its archives, its layout, its official split, its clips as examples.

archives.py   download()            the published archives, verified and extracted
layout.py     words_in()            folders, noises and lists on disk
splits.py     scan(), hash_split()  training, validation and test by speaker
sources.py    Source                recordings of one length, read by index
unknown.py    synthetic_unknown()   synthetic unknown words
examples.py   Dataset, Split        from one scan to the examples of an epoch
"""

from echoic.data.archives import ARCHIVES, Archive, DownloadError, download
from echoic.data.examples import (
    Dataset,
    Examples,
    Split,
    archive_warnings,
    load,
    load_folders,
)
from echoic.data.layout import DataError, noise_files, speaker_of
from echoic.data.sources import InMemorySource, Source
from echoic.data.splits import (
    LISTS,
    SPLITS,
    Clip,
    SplitName,
    hash_split,
    missing_files,
    read_lists,
    scan,
)

__all__ = [
    "ARCHIVES",
    "LISTS",
    "SPLITS",
    "Archive",
    "Clip",
    "DataError",
    "Dataset",
    "DownloadError",
    "Examples",
    "InMemorySource",
    "Source",
    "Split",
    "SplitName",
    "archive_warnings",
    "download",
    "hash_split",
    "load",
    "load_folders",
    "missing_files",
    "noise_files",
    "read_lists",
    "scan",
    "speaker_of",
]
