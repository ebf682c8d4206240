"""Downloads from a server in a thread that can cut, ignore or refuse; nothing leaves 127.0.0.1."""

import hashlib
import io
import random
import shutil
import socket
import tarfile
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from echoic.data import archives
from echoic.data.archives import ARCHIVES, Archive, DownloadError, download

FILE = "speech_commands_v9.99.tar.gz"
FOLDER = "speech_commands_v9.99"
LOCK = f".{FOLDER}.lock"
# Noise does not compress: the archive spans several blocks and can be cut between them.
WAV = random.Random(0).randbytes(300_000)
CLIP = "yes/0a7c2a8d_nohash_0.wav"


class Server(ThreadingHTTPServer):
    """Serves `content` at /FILE and remembers each request's Range header (None without one)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.metadata = b""
        self.ranges: list[str | None] = []
        self.sent = 0
        self.cuts: list[int] = []  # bytes of body after which the next requests are closed
        self.statuses: list[int] = []  # errors with which the next requests are answered
        self.ignore_range = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        start = 0
        if server.statuses:
            return self.send_error(server.statuses.pop(0))
        if self.path != f"/data/{FILE}":
            return self.send_error(404)
        total = len(server.content)
        if wanted and not server.ignore_range:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        server.sent += len(body)
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def tar(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                file.addfile(info, io.BytesIO(member[1]))
            else:
                file.addfile(member)
    return buffer.getvalue()


def special(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    return info


def archive_of(content: bytes, *, size_known: bool = True) -> Archive:
    digest = hashlib.sha256(content).hexdigest()
    return Archive("9.99", FILE, digest, len(content) if size_known else None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


GOOD = tar(special(".", tarfile.DIRTYPE), (f"./{CLIP}", WAV), ("./testing_list.txt", b"yes\n"))
ARCHIVE = archive_of(GOOD)
HALF = len(GOOD) // 2


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(archives, "BACKOFF", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("ECHOIC_DATA_URL", raising=False)


@pytest.fixture
def server():
    with Server() as server:
        server.content = GOOD
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "outer" / "data"


def assert_whole(folder: Path) -> None:
    assert names(folder) == ["testing_list.txt", "yes"]
    assert (folder / CLIP).read_bytes() == WAV
    # Neither the archive nor a partial folder is left beside it.
    assert names(folder.parent) == [LOCK, FOLDER]


def test_table():
    assert {name: (a.file, a.size, a.folder, a.sha256) for name, a in ARCHIVES.items()} == {
        "0.02": (
            "speech_commands_v0.02.tar.gz",
            2_428_923_189,
            "speech_commands_v0.02",
            "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        ),
        "0.01": (
            "speech_commands_v0.01.tar.gz",
            None,
            "speech_commands_v0.01",
            "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        ),
        "test-set-0.02": (
            "speech_commands_test_set_v0.02.tar.gz",
            112_563_277,
            "speech_commands_test_set_v0.02",
            "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
        ),
    }
    assert all(name == archive.name for name, archive in ARCHIVES.items())
    assert archives.BASE_URL == "https://storage.googleapis.com/download.tensorflow.org/data/"


@pytest.mark.parametrize("size_known", [True, False])
def test_downloads_verifies_and_extracts(server, dest, size_known):
    calls = []
    folder = download(
        archive_of(GOOD, size_known=size_known),
        dest,
        base_url=server.url,
        progress=lambda *call: calls.append(call),
    )
    assert folder == dest / FOLDER
    assert_whole(folder)
    assert server.ranges == [None]
    assert list(dict.fromkeys(stage for stage, _, _ in calls)) == ["download", "verify", "extract"]
    for stage in ("download", "verify", "extract"):
        done = [done for name, done, _ in calls if name == stage]
        assert done == sorted(done)
        assert done[-1] == len(GOOD)
    assert {total for _, _, total in calls} == {len(GOOD)}


def test_second_call_makes_no_request(server, dest):
    download(ARCHIVE, dest, base_url=server.url)
    (dest / f"{FILE}.part").write_bytes(GOOD)  # as if killed between the rename and the clean-up
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert len(server.ranges) == 1


@pytest.mark.parametrize("base", ["{}", "{}/"])
def test_mirror_from_the_environment(server, dest, monkeypatch, base):
    monkeypatch.setenv("ECHOIC_DATA_URL", base.format(server.url))
    assert_whole(download(ARCHIVE, dest))


def test_argument_wins_over_the_environment(server, dest, monkeypatch):
    monkeypatch.setenv("ECHOIC_DATA_URL", "ftp://elsewhere")
    assert_whole(download(ARCHIVE, dest, base_url=server.url))


def test_mirror_that_is_no_http_address(dest, monkeypatch):
    monkeypatch.setenv("ECHOIC_DATA_URL", "ftp://elsewhere")
    with pytest.raises(ValueError, match=r"start with http.*received 'ftp://elsewhere'"):
        download(ARCHIVE, dest)


def test_cut_connection_is_resumed(server, dest):
    server.cuts = [HALF]
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert server.sent == len(GOOD)


def test_killed_run_is_resumed(server, dest):
    dest.mkdir(parents=True)
    (dest / f"{FILE}.part").write_bytes(GOOD[:HALF])
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert server.ranges == [f"bytes={HALF}-"]
    assert server.sent == len(GOOD) - HALF


def test_progress_earns_new_patience(server, dest):
    server.cuts = [10_000] * 10
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert len(server.ranges) == 11
    assert server.sent == len(GOOD)


@pytest.mark.parametrize(
    ("size_known", "requests"), [(True, []), (False, [f"bytes={len(GOOD)}-"])], ids=str
)
def test_part_that_is_whole_is_not_fetched_again(server, dest, size_known, requests):
    dest.mkdir(parents=True)
    (dest / f"{FILE}.part").write_bytes(GOOD)
    assert_whole(download(archive_of(GOOD, size_known=size_known), dest, base_url=server.url))
    assert server.ranges == requests
    assert server.sent == 0


def test_part_that_is_too_long_is_started_over(server, dest):
    dest.mkdir(parents=True)
    (dest / f"{FILE}.part").write_bytes(GOOD + b"more")
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert server.ranges == [f"bytes={len(GOOD) + 4}-", None]


def test_server_that_ignores_range_starts_over(server, dest):
    server.ignore_range = True
    server.cuts = [HALF]
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert server.sent == HALF + len(GOOD)


def test_server_that_always_starts_over_is_given_up(server, dest):
    server.ignore_range = True
    server.cuts = [HALF] * 100
    with pytest.raises(DownloadError, match=rf"closed after {HALF:,} of {len(GOOD):,} bytes"):
        download(ARCHIVE, dest, base_url=server.url)
    assert len(server.ranges) == 1 + len(archives.BACKOFF)
    assert names(dest) == [LOCK, f"{FILE}.part"]  # kept for the next run


def test_busy_server_is_asked_again(server, dest):
    server.statuses = [503, 429]
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert len(server.ranges) == 3


def test_wrong_digest(server, dest):
    expected, actual = "0" * 64, hashlib.sha256(GOOD).hexdigest()
    archive = Archive("9.99", FILE, expected, len(GOOD))
    with pytest.raises(DownloadError) as error:
        download(archive, dest, base_url=server.url)
    text = str(error.value)
    for part in (str(dest / FILE), expected, actual, "was removed", "likely cause", "browser"):
        assert part in text
    assert names(dest) == [LOCK]


@pytest.mark.parametrize(
    "member",
    [
        ("../evil", b"evil"),
        ("./yes/../../evil", b"evil"),
        ("/evil", b"evil"),
        ("C:/evil", b"evil"),
        ("C:evil", b"evil"),
        ("..\\evil", b"evil"),
        special("evil", tarfile.SYMTYPE, "/etc/passwd"),
        special("evil", tarfile.SYMTYPE, "testing_list.txt"),
        special("evil", tarfile.LNKTYPE, "./testing_list.txt"),
        special("evil", tarfile.CHRTYPE),
        special("evil", tarfile.BLKTYPE),
        special("evil", tarfile.FIFOTYPE),
        special("../evil", tarfile.DIRTYPE),
    ],
    ids=lambda m: m[0] if isinstance(m, tuple) else f"{m.name}-{m.type!r}",
)
def test_hostile_member_is_refused(server, dest, member):
    server.content = tar(("./testing_list.txt", b"yes\n"), member, ("./README.md", b""))
    with pytest.raises(DownloadError) as error:
        download(archive_of(server.content), dest, base_url=server.url)
    name = member[0] if isinstance(member, tuple) else member.name
    assert repr(name) in str(error.value)
    assert names(dest) == [LOCK]
    assert names(dest.parent) == ["data"]
    assert names(dest.parent.parent) == ["outer"]


@pytest.mark.parametrize("content", [b"<html>Log in</html>", GOOD[:HALF]], ids=["html", "cut"])
def test_file_that_is_no_whole_tar(server, dest, content):
    server.content = content
    with pytest.raises(DownloadError, match=r"whole tar\.gz file"):
        download(archive_of(content), dest, base_url=server.url)
    assert names(dest) == [LOCK]


def test_only_bytes_come_out_of_the_archive(server, dest):
    info = tarfile.TarInfo("./README.md")
    info.mode, info.mtime = 0o6777, 1
    server.content = tar(info)
    path = download(archive_of(server.content), dest, base_url=server.url) / "README.md"
    assert path.stat().st_mode & 0o6111 == 0
    assert path.stat().st_mtime > 1


def test_older_pythons_have_no_data_filter(server, dest, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    assert_whole(download(ARCHIVE, dest, base_url=server.url))


def test_leftover_of_a_killed_extraction(server, dest):
    leftover = dest / f".{FOLDER}.partial" / "no" / "old.wav"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"")
    assert_whole(download(ARCHIVE, dest, base_url=server.url))


def test_interrupted_extraction_leaves_no_folder(server, dest):
    def interrupt(stage, done, total):
        if stage == "extract":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(ARCHIVE, dest, base_url=server.url, progress=interrupt)
    assert names(dest) == [LOCK, f"{FILE}.part"]
    assert_whole(download(ARCHIVE, dest, base_url=server.url))
    assert len(server.ranges) == 1


def test_no_network(dest, monkeypatch):
    monkeypatch.setattr(archives, "BACKOFF", (0.0,))  # Windows takes 2 s to refuse
    with socket.socket() as unused:  # bound but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DownloadError) as error:
            download(ARCHIVE, dest, base_url=url)
    for part in (f"{url}/{FILE}", "2 tries", "browser", str(dest / FILE), "ECHOIC_DATA_URL"):
        assert part in str(error.value)


def test_missing_file_is_not_asked_for_again(server, dest):
    with pytest.raises(DownloadError, match=r"HTTP 404 Not Found.*browser.*ECHOIC_DATA_URL"):
        download(ARCHIVE, dest, base_url=f"{server.url}/elsewhere")
    assert len(server.ranges) == 1


def test_disk_too_small(server, dest, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free=2 * len(GOOD)))
    with pytest.raises(DownloadError, match=r"Expected 0\.8 MB free in .* received 0\.6 MB"):
        download(ARCHIVE, dest, base_url=server.url)
    assert names(dest) == [LOCK]
    # What is on the disk already needs no room: the same disk takes the rest of a resumed run.
    (dest / f"{FILE}.part").write_bytes(GOOD[:-1000])
    assert_whole(download(ARCHIVE, dest, base_url=server.url))


def test_failure_to_write_is_not_taken_for_one_of_the_network(server, dest):
    (dest / f"{FILE}.part").mkdir(parents=True)  # cannot be written, on any system
    with pytest.raises(OSError, match="part"):
        download(ARCHIVE, dest, base_url=server.url)
    assert len(server.ranges) == 1


def test_file_fetched_by_hand(server, dest):
    dest.mkdir(parents=True)
    (dest / FILE).write_bytes(GOOD)
    folder = download(ARCHIVE, dest, base_url=server.url)
    assert (folder / CLIP).read_bytes() == WAV
    assert (dest / FILE).read_bytes() == GOOD
    assert server.ranges == []


def test_bad_file_fetched_by_hand_is_left_in_place(server, dest):
    dest.mkdir(parents=True)
    (dest / FILE).write_bytes(GOOD[:HALF])
    with pytest.raises(DownloadError, match=r"SHA-256 .* left in place\..*delete it"):
        download(ARCHIVE, dest, base_url=server.url)
    assert names(dest) == [LOCK, FILE]


def test_one_download_at_a_time(server, dest):
    errors = []

    def start_another(stage, done, total):
        if stage == "download" and not errors:
            with pytest.raises(DownloadError, match="another process holds") as error:
                download(ARCHIVE, dest, base_url=server.url)
            errors.append(error.value)

    assert_whole(download(ARCHIVE, dest, base_url=server.url, progress=start_another))
    assert len(errors) == 1
    assert len(server.ranges) == 1
