"""How often is it right? Figures of the file that ships, each with the protocol it is from.

archive-v0.02           the official 12-class test archive, 4,890 clips
archive-v0.02-endless   the same clips without gaps or resets, the mean of three orders
hash-split              a side of a data set, split by the official lists and the rule behind them
stream                  words at known times in noise, and recordings without any
"""

from echoic.evaluation.clips import (
    Evaluation,
    Progress,
    Questions,
    ask,
    draw_split,
    evaluate_split,
    evaluate_test_set,
    read_test_set,
)
from echoic.evaluation.comparison import Comparison, compare, compare_split, compare_test_set
from echoic.evaluation.detection import (
    OperatingPoint,
    StreamEvaluation,
    evaluate_recording,
    evaluate_stream,
)
from echoic.evaluation.diagnosis import diagnose
from echoic.evaluation.endless import EndlessEvaluation, evaluate_endless
from echoic.evaluation.listening import Hear, Posteriors, hearing
from echoic.evaluation.page import write_page
from echoic.evaluation.reports import record, write_report
from echoic.evaluation.robustness import examine
from echoic.evaluation.scores import Score, score_detections
from echoic.evaluation.sections import Section, Sound, Tile
from echoic.evaluation.streams import (
    Stream,
    Word,
    audible,
    build_stream,
    read_truth,
    write_truth,
)
from echoic.evaluation.tuning import Candidate, Tuning, tune

__all__ = [
    "Candidate",
    "Comparison",
    "EndlessEvaluation",
    "Evaluation",
    "Hear",
    "OperatingPoint",
    "Posteriors",
    "Progress",
    "Questions",
    "Score",
    "Section",
    "Sound",
    "Stream",
    "StreamEvaluation",
    "Tile",
    "Tuning",
    "Word",
    "ask",
    "audible",
    "build_stream",
    "compare",
    "compare_split",
    "compare_test_set",
    "diagnose",
    "draw_split",
    "evaluate_endless",
    "evaluate_recording",
    "evaluate_split",
    "evaluate_stream",
    "evaluate_test_set",
    "examine",
    "hearing",
    "read_test_set",
    "read_truth",
    "record",
    "score_detections",
    "tune",
    "write_page",
    "write_report",
    "write_truth",
]
