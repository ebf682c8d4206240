"""Analysis: what is behind one accuracy, from predictions that exist.

Per class, per speaker, calibration and open set; no model runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from echoic.evaluation.calibration import Calibration, calibration
from echoic.evaluation.classes import PerClass, per_class
from echoic.evaluation.clips import Evaluation
from echoic.evaluation.open_set import OpenSet, open_set
from echoic.evaluation.result import NotMeasured
from echoic.evaluation.speakers import PerSpeaker, per_speaker
from echoic.runtime.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is behind an evaluation; make one with `analyze`.

    Attributes
    ----------
    model
        Name of the model.
    evaluation
        Its predictions.
    classes, speakers, calibration, open_set
        The parts; `NotMeasured` where the clips do not suffice.
    """

    model: str
    evaluation: Evaluation
    classes: PerClass
    speakers: PerSpeaker | NotMeasured
    calibration: Calibration
    open_set: OpenSet | NotMeasured

    def report(self) -> dict[str, Any]:
        """Return the figures of each part as plain data."""
        return {
            "classes": self.classes.report(),
            "speakers": self.speakers.report(),
            "calibration": self.calibration.report(),
            "open_set": self.open_set.report(),
        }


def analyze(bundle: Bundle, evaluation: Evaluation) -> Analysis:
    """Analyze predictions per class, per speaker, by confidence and on unknown words.

    Parameters
    ----------
    bundle
        The model that made them.
    evaluation
        The predictions.
    """
    return Analysis(
        bundle.name,
        evaluation,
        per_class(evaluation),
        per_speaker(evaluation),
        calibration(evaluation, temperature=bundle.training.temperature),
        open_set(evaluation, unseen_words=bundle.recipe.data.unseen_words),
    )
