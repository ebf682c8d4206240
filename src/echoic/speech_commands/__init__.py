"""Google Speech Commands: its archives, its official split, its clips as examples."""

from echoic.speech_commands.archives import ARCHIVES, Archive, DownloadError, download
from echoic.speech_commands.examples import (
    DataConfig,
    Examples,
    Split,
    archive_warnings,
    fingerprint,
    load,
    load_folders,
)
from echoic.speech_commands.splits import (
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
    "DataConfig",
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
