"""Google Speech Commands: its archives, its official split, its clips as examples."""

from echoic.data.archives import ARCHIVES, Archive, DownloadError, download
from echoic.data.sources import Examples, Split, archive_warnings, fingerprint, load, load_folders
from echoic.data.splits import (
    SPLITS,
    Clip,
    DataError,
    SplitName,
    hash_split,
    missing_files,
    read_lists,
    scan,
    speaker_of,
)

__all__ = [
    "ARCHIVES",
    "SPLITS",
    "Archive",
    "Clip",
    "DataError",
    "DownloadError",
    "Examples",
    "Split",
    "SplitName",
    "archive_warnings",
    "download",
    "fingerprint",
    "hash_split",
    "load",
    "load_folders",
    "missing_files",
    "read_lists",
    "scan",
    "speaker_of",
]
