"""Evaluation: figures of the TFLite files, each with its protocol. It computes; `reports` shows.

archive-v0.02           the official 12-class test archive, 4,890 clips
archive-v0.02-endless   the same clips as one stream, never reset; the mean of three orders
hash-split              a split of a data set, by the official lists and the rule behind them
stream                  words at known times in noise, and recordings without any
"""

from echoic.evaluation.analysis import Analysis, analyze
from echoic.evaluation.clips import (
    Evaluation,
    Progress,
    TestSet,
    draw_split,
    evaluate,
    evaluate_split,
    evaluate_test_set,
    read_test_set,
)
from echoic.evaluation.comparison import Comparison, compare, compare_split, compare_test_set
from echoic.evaluation.continuous import ContinuousEvaluation, evaluate_continuous
from echoic.evaluation.posteriors import PosteriorFn, Posteriors, make_posterior_fn
from echoic.evaluation.result import Estimate, Result, Table
from echoic.evaluation.robustness import Robustness, evaluate_robustness
from echoic.evaluation.scores import Score, score_detections
from echoic.evaluation.stream_builder import (
    Stream,
    Word,
    audible,
    build_stream,
    read_truth,
    write_truth,
)
from echoic.evaluation.streams import (
    OperatingPoint,
    StreamEvaluation,
    evaluate_recording,
    evaluate_stream,
)
from echoic.evaluation.tuning import Candidate, Tuning, tune

__all__ = [
    "Analysis",
    "Candidate",
    "Comparison",
    "ContinuousEvaluation",
    "Estimate",
    "Evaluation",
    "OperatingPoint",
    "PosteriorFn",
    "Posteriors",
    "Progress",
    "Result",
    "Robustness",
    "Score",
    "Stream",
    "StreamEvaluation",
    "Table",
    "TestSet",
    "Tuning",
    "Word",
    "analyze",
    "audible",
    "build_stream",
    "compare",
    "compare_split",
    "compare_test_set",
    "draw_split",
    "evaluate",
    "evaluate_continuous",
    "evaluate_recording",
    "evaluate_robustness",
    "evaluate_split",
    "evaluate_stream",
    "evaluate_test_set",
    "make_posterior_fn",
    "read_test_set",
    "read_truth",
    "score_detections",
    "tune",
    "write_truth",
]
