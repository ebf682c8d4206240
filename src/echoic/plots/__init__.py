"""Pictures from arrays: predictions, figures, calibration, robustness.

clips.py       prediction, recording, augmentations     from sound to word
scores.py      confusion_matrix, history, det_curve     figures as pictures
analysis.py    reliability, speakers, open_set          what is behind one accuracy
robustness.py  sweep                                    accuracy under other conditions
panels.py      style.py                                 what they share

Each function gives a `matplotlib.figure.Figure`, already laid out; `save` writes it and `png`
gives its bytes. None touches `pyplot`, its windows or the reader's settings, so a picture comes
out the same in a script, a notebook or a test. matplotlib is imported with the first picture.

Colours are those of Okabe and Ito, which readers with any colour vision can tell apart
(M. Okabe and K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/).
"""

from echoic.plots.analysis import open_set, reliability, speakers
from echoic.plots.clips import augmentations, augmented, prediction, recording
from echoic.plots.robustness import sweep
from echoic.plots.scores import confusion_matrix, det_curve, history
from echoic.plots.style import CARD_COLORS, DPI, png, save

__all__ = [
    "CARD_COLORS",
    "DPI",
    "augmentations",
    "augmented",
    "confusion_matrix",
    "det_curve",
    "history",
    "open_set",
    "png",
    "prediction",
    "recording",
    "reliability",
    "save",
    "speakers",
    "sweep",
]
