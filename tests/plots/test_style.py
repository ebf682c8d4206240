"""Files of pictures: the same bytes everywhere, and nothing imported before it is needed."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from echoic import plots


def history():
    return plots.history(
        {"loss": [3, 2, 1], "val_loss": [3, 2.5, 2], "val_accuracy": [0.1, 0.5, 0.6]}
    )


class TestSave:
    def test_few_colors_make_a_small_file_that_looks_alike(self, tmp_path):
        plots.save(history(), tmp_path / "all.png")
        plots.save(history(), tmp_path / "few.png", colors=plots.CARD_COLORS)
        paths = tmp_path / "all.png", tmp_path / "few.png"
        assert paths[1].stat().st_size < 0.5 * paths[0].stat().st_size
        whole, few = (np.asarray(Image.open(path).convert("RGB"), dtype=float) for path in paths)
        assert whole.shape == few.shape
        assert few[0, 0].tolist() == [255, 255, 255]
        assert np.abs(whole - few).mean() < 3
        assert np.abs(whole - few).max() < 32

    def test_png_of_1200_pixels_without_metadata(self, tmp_path):
        plots.save(history(), tmp_path / "history.png")
        with Image.open(tmp_path / "history.png") as image:
            assert image.format == "PNG"
            assert image.width == 1200
            assert set(image.info) == {"dpi"}

    def test_bytes_are_those_of_the_file(self, tmp_path):
        plots.save(history(), tmp_path / "history.png")
        assert plots.png(history()) == (tmp_path / "history.png").read_bytes()
        with Image.open(io.BytesIO(plots.png(history(), dpi=75))) as image:
            assert image.width == 600

    def test_other_formats(self, tmp_path):
        with pytest.raises(ValueError, match=r"ends in \.png, received .*history\.pdf"):
            plots.save(history(), tmp_path / "history.pdf")

    def test_the_settings_of_the_reader_change_nothing(self, tmp_path):
        plots.save(history(), tmp_path / "a.png")
        with rc_context({"font.size": 20, "savefig.bbox": "tight", "axes.facecolor": "red"}):
            figure = history()
            plots.save(figure, tmp_path / "b.png")
        assert isinstance(figure, Figure)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_import_is_light():
    """Neither module costs matplotlib at import, and no picture touches pyplot."""
    code = (
        "import sys; from echoic import plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.history({'loss': [1.0]})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
