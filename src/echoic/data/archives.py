"""The official archives of Speech Commands: fetched, verified, extracted.

`download` is three steps: fetch ``<file>.part`` (resuming what an earlier run left), compare its
SHA-256 with the published one, and extract it beside its final place. The folder gets its name by
one rename at the very end, so a folder of that name is always whole.

The data are Pete Warden's, CC BY 4.0: "Speech Commands: A Dataset for Limited-Vocabulary Speech
Recognition", 2018, https://arxiv.org/abs/1804.03209.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import logging
import os
import re
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from echoic.files import atomic

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["ARCHIVES", "BASE_URL", "Archive", "DownloadError", "download"]

BASE_URL = "https://storage.googleapis.com/download.tensorflow.org/data/"
URL_VARIABLE = "ECHOIC_DATA_URL"

TIMEOUT = 30.0  # seconds without a byte before a connection counts as cut
BACKOFF = (1.0, 2.0, 4.0)  # seconds before each retry that follows an attempt without progress
BLOCK = 1 << 16  # bytes read at a time
EXPANSION = 1.5  # extracted size on disk over archive size; 1.43 for v0.02 with 4 KiB blocks

Progress: TypeAlias = Callable[[str, int, int | None], None]

logger = logging.getLogger(__name__)


class DownloadError(RuntimeError):
    """An archive could not be downloaded, verified or extracted; the message says what to do."""


class _Interrupted(Exception):
    """The connection failed in a way that a retry may cure."""


class _BadArchive(Exception):
    """The file is not the expected archive, or is not safe to extract."""


@dataclass(frozen=True)
class Archive:
    """One published archive.

    Parameters
    ----------
    name : str
        Its usual name, the key in `ARCHIVES`.
    file : str
        File name at the end of its URL; ends in ``.tar.gz``.
    sha256 : str
        Expected SHA-256 of the file, in hexadecimal.
    size : int or None
        Size of the file (bytes), if it is known.
    """

    name: str
    file: str
    sha256: str
    size: int | None

    @property
    def folder(self) -> str:
        """Name of the extracted folder: the file name without ``.tar.gz``."""
        return self.file.removesuffix(".tar.gz")


ARCHIVES = {
    archive.name: archive
    for archive in (
        Archive(
            name="0.02",
            file="speech_commands_v0.02.tar.gz",
            sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            size=2_428_923_189,
        ),
        Archive(
            name="0.01",
            file="speech_commands_v0.01.tar.gz",
            sha256="743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
            size=None,
        ),
        Archive(
            name="test-set-0.02",
            file="speech_commands_test_set_v0.02.tar.gz",
            sha256="cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
            size=112_563_277,
        ),
    )
}


def download(
    archive: Archive,
    dest: Path,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download and extract an archive, unless its folder is already there.

    The next call resumes an interrupted download. If ``dest / archive.file`` exists, downloaded
    by hand for example, it is verified, used, and left in place.

    Parameters
    ----------
    archive : Archive
        What to download, usually ``ARCHIVES["0.02"]``.
    dest : Path
        Folder that receives the extracted folder; created if missing.
    base_url : str, optional
        URL of the folder that holds the archives, ``http://`` or ``https://``. Default: the
        environment variable ``ECHOIC_DATA_URL``, else `BASE_URL`.
    progress : callable, optional
        Called as ``progress(stage, done_bytes, total_bytes)`` with `stage` ``"download"``,
        ``"verify"`` or ``"extract"``. The bytes are those of the archive in every stage; the
        total is None if it is unknown.

    Returns
    -------
    Path
        The folder ``dest / archive.folder``, whole.

    Raises
    ------
    DownloadError
        If the archive cannot be reached, has the wrong SHA-256 or an unsafe member, if the disk
        is too small, or if another process is downloading the same archive.
    ValueError
        If the base URL is not an HTTP address.
    OSError
        If `dest` cannot be written.
    """
    folder = dest / archive.folder
    part = dest / f"{archive.file}.part"
    by_hand = dest / archive.file
    report = progress or _ignore

    if not folder.is_dir():
        dest.mkdir(parents=True, exist_ok=True)
        with _lock(dest / f".{archive.folder}.lock"):
            # Another process may have finished in between.
            if not folder.is_dir():
                source = by_hand if by_hand.is_file() else part
                if source is part:
                    _fetch(archive, part, _url(archive, base_url), report)
                _check_disk(archive, dest, total=source.stat().st_size, rest=0)
                try:
                    _verify(source, archive.sha256, report)
                    _extract(source, folder, report)
                except _BadArchive as bad:
                    raise DownloadError(f"{bad} {_dispose(source, part, by_hand)}") from bad
    # Also if the folder was whole: a run killed after the rename leaves its archive behind.
    part.unlink(missing_ok=True)
    return folder


def _ignore(stage: str, done: int, total: int | None) -> None:
    """Discard progress."""


def _url(archive: Archive, base_url: str | None) -> str:
    base = base_url or os.environ.get(URL_VARIABLE) or BASE_URL
    if not base.startswith(("http://", "https://")):
        raise ValueError(
            f"Expected base_url (or {URL_VARIABLE}) to start with http:// or https://, "
            f"received {base!r}. Give the address of the folder that holds {archive.file}."
        )
    return f"{base.rstrip('/')}/{archive.file}"


def _dispose(source: Path, part: Path, by_hand: Path) -> str:
    """Remove a bad archive that was downloaded; return what was done and what to do."""
    if source is part:
        part.unlink()
        return (
            "The file was removed. The likely cause is a damaged download, or the page of a proxy "
            "or a login portal in its place. Download again; if that fails too, fetch the file "
            f"with a browser to {by_hand}, or set {URL_VARIABLE} to the address of a mirror."
        )
    return (
        "The file was left in place. The likely cause is an unfinished or damaged download. "
        "Fetch it again, or delete it and download again without it."
    )


def _check_disk(archive: Archive, dest: Path, *, total: int, rest: int) -> None:
    """Raise unless `dest` has room for `rest` more bytes of archive and for what it extracts to."""
    extracted = int(total * EXPANSION)
    free = shutil.disk_usage(dest).free
    if free < rest + extracted:
        raise DownloadError(
            f"Expected {_megabytes(rest + extracted)} free in {dest} for {archive.file} "
            f"({_megabytes(rest)} to download, about {_megabytes(extracted)} to extract), "
            f"received {_megabytes(free)}. Free some space, or choose a folder on another disk."
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Lock `path` for this process; the system unlocks it even if the process is killed.

    The empty file stays: another process may be about to lock it.
    """
    with path.open("ab") as file:
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise DownloadError(
                f"Expected to be alone in downloading this archive, but another process holds "
                f"{path}. Wait until it has finished, or stop it, and download again."
            ) from error
        except OSError as error:  # some network drives have no locks
            logger.warning("Cannot lock %s (%s): run one download at a time", path, error)
        yield


# Fetch


def _fetch(archive: Archive, part: Path, url: str, report: Progress) -> None:
    """Complete `part` from `url`; retry as long as there is progress."""
    furthest = _size(part)
    failures = 0
    while True:
        try:
            return _fetch_rest(archive, part, url, report)
        except _Interrupted as reason:
            # Progress resets the count of failures. If the server always starts over, only a new
            # maximum counts as progress, or this loop might not end.
            if _size(part) > furthest:
                furthest = _size(part)
                failures = 0
            if failures == len(BACKOFF):
                raise _unreachable(part, url, reason, tries=failures + 1) from reason
            logger.warning("%s: %s; retrying in %g s", url, reason, BACKOFF[failures])
            time.sleep(BACKOFF[failures])
            failures += 1


def _fetch_rest(archive: Archive, part: Path, url: str, report: Progress) -> None:
    """Append the response of one request to `part`."""
    start = _size(part)
    if start and start == archive.size:
        return None
    request = urllib.request.Request(url, headers={"User-Agent": "echoic"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:  # `part` is whole already, or of another file
            if _range_total(error.headers) == start:
                return None
            part.unlink()
            return _fetch_rest(archive, part, url, report)
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in (408, 429) or error.code >= 500:
            raise _Interrupted(reason) from error
        raise _unreachable(part, url, reason, tries=1) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(getattr(error, "reason", error))) from error

    with response:
        resumed = response.status == 206
        if start and not resumed:
            logger.warning("%s cannot be resumed: the server starts over", url)
        done = start if resumed else 0
        length = response.headers.get("Content-Length")
        total = _range_total(response.headers) or (int(length) if length else archive.size)
        _check_disk(archive, part.parent, total=total or 0, rest=(total or done) - done)
        with part.open("ab" if resumed else "wb") as file:
            report("download", done, total)
            for block in _blocks(response):
                file.write(block)
                done += len(block)
                report("download", done, total)
    if total is not None and done < total:
        raise _Interrupted(f"the connection closed after {done:,} of {total:,} bytes")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _range_total(headers: Message) -> int | None:
    """Size of the whole file by ``Content-Range: bytes 5-9/10`` or ``bytes */10``."""
    match = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body; a failure to read is an interruption, one to write to disk is not."""
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error)) from error


def _unreachable(part: Path, url: str, reason: object, *, tries: int) -> DownloadError:
    size = _size(part)
    kept = f"The {size:,} bytes so far are kept in {part} for the next run. " if size else ""
    return DownloadError(
        f"Expected to download {url}, received: {reason} ({tries} {'tries' if tries > 1 else 'try'}"
        f" without progress). {kept}Check the connection and download again, or fetch the file "
        f"with a browser to {part.with_suffix('')}, or set {URL_VARIABLE} to the address of a "
        f"mirror."
    )


# Verify


def _verify(path: Path, sha256: str, report: Progress) -> None:
    """Raise `_BadArchive` unless the file has this SHA-256."""
    total = path.stat().st_size
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            report("verify", done, total)
    if digest.hexdigest() != sha256:
        raise _BadArchive(
            f"Expected {path} to have the SHA-256 {sha256}, "
            f"received {digest.hexdigest()} ({total:,} bytes)."
        )


# Extract


def _extract(path: Path, folder: Path, report: Progress) -> None:
    """Extract the archive `path` as `folder`, whole or not at all."""
    try:
        with (
            atomic(folder) as partial,
            path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r:gz") as tar,
        ):
            partial.mkdir()
            for member in tar:
                _extract_member(tar, member, partial)
                report("extract", file.tell(), path.stat().st_size)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _BadArchive(
            f"Expected {path} to be a whole tar.gz file, received: {error}"
        ) from error


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Extract one member, its content only: no owner, mode, time or link.

    tarfile's data filter (Python 3.11.4 and later) keeps every member inside the folder. These
    archives hold plain files and folders alone, so links and other systems' separators and drives
    are refused as well.
    """
    name = PurePosixPath(member.name)
    inside = not (name.is_absolute() or ".." in name.parts or re.search(r"[\\:\0]", member.name))
    if not (inside and (member.isdir() or member.isreg())):
        raise _BadArchive(
            f"Expected only plain files and folders that stay inside the archive's folder, "
            f"received the member {member.name!r} (type {member.type!r}). Nothing was extracted."
        )
    if hasattr(tarfile, "data_filter"):
        tar.extract(member, folder, set_attrs=False, filter="data")
    else:
        tar.extract(member, folder, set_attrs=False)
