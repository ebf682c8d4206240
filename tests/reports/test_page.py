"""The page: whole, linked, escaped, and in need of nothing beside it."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from echoic import audio, plots
from echoic.reports import Section, Sound, Tile, write_page
from echoic.reports.page import Summary

HOSTILE = "<script>alert('1')</script>\"&amp;`x`<img src=x onerror=y>"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Reads a page, and fails where a tag is not closed where it should be."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def sound(name="yes/a.wav"):
    waveform = np.random.default_rng(0).uniform(-1, 1, 16000).astype(np.float32)
    return Sound(name=name, title=f"said {name}", note=f"note {name}", waveform=waveform)


def section(key="noise", **changes):
    figure = plots.sweep([0, 10], {"a": [(0.5, 0.4, 0.6)] * 2}, unchanged=(1, 1, 1), axis="dB")
    values = {
        "key": key,
        "title": "Noise",
        "text": "First `code`.\n\n    echoic evaluate x\n\nLast.",
        "data": {},
        "columns": ("kind", "accuracy"),
        "rows": (("a", "50.0%"), ("b", "–")),
        "figure": figure,
        "sounds": (sound(),),
        "tiles": (Tile(value="1", name="linked", note="n", better="higher", level=0.9),),
    }
    return Section(**(values | changes))


def summary(**changes):
    values = {
        "figure": "96.4%",
        "name": "of 10 clips",
        "interval": "90.0% – 99.0%",
        "level": 0.964,
        "protocol": "Protocol `hash-split`.",
        "warnings": ("Mind this.",),
        "command": "echoic evaluate x",
    }
    return Summary(**(values | changes))


@pytest.fixture
def write(tmp_path):
    def write(*sections, title="gru-12", **changes):
        path = write_page(tmp_path, title=title, summary=summary(**changes), sections=sections)
        return path.read_text(encoding="utf-8")

    return write


def test_the_page_is_whole_and_every_link_has_its_target(write, tmp_path):
    text = write(section(), section("other"))
    page = Page(text)
    assert (tmp_path / "index.html").exists()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in page.all("a")]
    assert {"#noise", "#other", "#content"} <= set(links)
    assert all(link[0] == "#" and link[1:] in ids for link in links)
    for attributes in page.all("section"):
        assert attributes["aria-labelledby"] in ids
    assert "#nowhere" not in text


def test_the_page_needs_nothing_beside_it(write):
    page = Page(write(section()))
    assert page.all("script") == []
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("data:", "#")), (tag, name)
    style = re.search(r"<style>(.*?)</style>", write(section()), re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "//" not in re.sub(r"data:[^\"]*", "", write(section()))


def test_it_can_be_read_by_all(write):
    page = Page(write(section()))
    assert page.all("html") == [{"lang": "en"}]
    assert all(attributes["alt"] for attributes in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == 1
    assert {attributes["scope"] for attributes in page.all("th")} == {"row", "col"}
    assert all(attributes["aria-label"] for attributes in page.all("audio"))
    assert page.all("a")[0] == {"class": "skip", "href": "#content"}
    assert any(a.get("name") == "viewport" for a in page.all("meta"))
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("nav")) == 1


def test_texts_are_paragraphs_commands_and_code(write):
    text = write(section())
    assert "<p>First <code>code</code>.</p>" in text
    assert "<pre><code>echoic evaluate x</code></pre>" in text
    assert "<p>Last.</p>" in text


def test_numbers_stand_on_the_right(write):
    page = Page(write(section(rows=(("a", "50.0%"), ("b", "–")))))
    assert [a for a in page.all("td") if a.get("class") == "n"] == [{"class": "n"}] * 2
    page = Page(write(section(rows=(("a", "50.0%"), ("b", "up")))))
    assert [a for a in page.all("td") if a.get("class") == "n"] == []


def test_the_sound_is_the_clip(write):
    (attributes,) = Page(write(section())).all("audio")
    kind, content = attributes["src"].split(",")
    assert kind == "data:audio/wav;base64"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)), dtype="int16")
    assert rate == audio.SAMPLE_RATE
    np.testing.assert_array_equal(samples, audio.to_int16(sound().waveform))


def test_the_picture_is_the_figure_at_96_pixels_an_inch(write):
    part = section()
    (attributes,) = Page(write(part)).all("img")
    assert base64.b64decode(attributes["src"].split(",")[1]) == plots.png(part.figure)
    assert int(attributes["width"]) == 8 * 96


def test_parts_that_are_not_there_leave_no_trace(write):
    page = Page(
        write(
            section(text="One.", columns=(), rows=(), figure=None, sounds=(), tiles=()),
            warnings=(),
            command="",
        )
    )
    assert not any(map(page.all, ("table", "figure", "audio", "aside", "pre")))


def test_whatever_comes_from_outside_is_escaped(write):
    part = section(
        title=HOSTILE,
        text=HOSTILE,
        columns=(HOSTILE, HOSTILE),
        rows=((HOSTILE, HOSTILE),),
        sounds=(sound(HOSTILE),),
        tiles=(
            Tile(
                value=HOSTILE,
                name=HOSTILE,
                note=HOSTILE,
                better="lower",
                level=0.5,
                reference=(HOSTILE, 0.9),
            ),
        ),
        figure=plots.sweep([0], {"a": [(1, 1, 1)]}, unchanged=(1, 1, 1), axis="dB", title=HOSTILE),
    )
    text = write(
        part,
        title=HOSTILE,
        figure=HOSTILE,
        name=HOSTILE,
        interval=HOSTILE,
        protocol=HOSTILE,
        warnings=(HOSTILE,),
        command=HOSTILE,
    )
    page = Page(text)
    assert page.all("script") == []
    assert [a["src"][:5] for a in page.all("img")] == ["data:"]
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert "".join(page.text).count("<script>alert('1')</script>\"&amp;") >= 16
    assert page.all("audio")[0]["aria-label"] == HOSTILE


@pytest.mark.parametrize("keys", [("a", "a"), ("a b",), ("",), ('"><b',), ("a\n",)])
def test_keys_are_names_of_links_each_its_own(write, keys):
    with pytest.raises(ValueError, match=r"Expected sections with keys"):
        write(*(section(key) for key in keys))


def test_the_same_page_twice(write):
    assert write(section()) == write(section())
