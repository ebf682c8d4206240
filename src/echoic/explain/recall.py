"""Recall: how far back does a network remember? The ice breaker as an experiment.

Each person in a circle says a name. In the first game a newcomer repeats all names in order. In
the second game one name is marked when it is said, and asked for after many more. Four networks
play:

    window    feedforward, sees the last few people at once; its memory ends at its edge
    rnn       Elman's network; carries its memory through every step
    gru lstm  gates decide when to write, keep and forget

The results are the accuracy by length of the circle and by distance of the name, and the norm of
the gradient through time: how much of the learning signal is left so many steps back (Hochreiter
1991; Bengio, Simard and Frasconi 1994).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

Floats = npt.NDArray[np.float64]

NETWORKS = {"window": None, "rnn": layers.SimpleRNN, "gru": layers.GRU, "lstm": layers.LSTM}
"""The networks, and the recurrent layer of each."""

REACHED = 0.9
"""Lowest accuracy that counts as remembered."""

TRIALS = 200
"""Circles for each length and each distance in the measurement of accuracy."""


@dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """The games, the networks and their training.

    Attributes
    ----------
    names
        Number of different names.
    people
        Longest circle of the game in order.
    distance
        Largest distance (people) of the game on request.
    window
        People that the feedforward network sees at once, including the one who asks.
    units
        Hidden units of each network.
    steps, batch_size
        Number of training batches, and circles in each.
    learning_rate
        Learning rate of Adam with a cosine decay; a SimpleRNN, which large steps destabilize,
        takes half.
    seed
        Seed of the circles and of the weights.
    """

    names: int = 8
    people: int = 6
    distance: int = 32
    window: int = 5
    units: int = 48
    steps: int = 800
    batch_size: int = 64
    learning_rate: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"names": 2, "seed": 0}
        for name in ("names", "people", "distance", "window", "units", "steps", "batch_size"):
            value = getattr(self, name)
            if value < least.get(name, 1):
                raise ValueError(
                    f"Expected MemoryConfig.{name} from {least.get(name, 1)} on, received {value}."
                )

    def name_of(self, kind: str) -> str:
        """Return the name of a network for tables and legends."""
        called = {"rnn": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}
        return called.get(kind, f"window of {self.window}")


@dataclass(frozen=True, eq=False)
class Memory:
    """How far back four networks remember: the result of `measure`.

    Attributes
    ----------
    config
        Configuration of the games.
    in_order
        Accuracy of each network in the game in order, shape (people,): entry k is for circles of
        k + 1 people.
    on_request
        Accuracy of each network in the game on request, shape (distance,): entry k is for names
        said k + 1 people before the question.
    gradients, fresh_gradients
        Gradient norm of each recurrent network, after and before training, shape
        (distance + 1,): the norm of the gradient of the right name's logit with respect to the
        state so many people before the question, relative to the state at the question.
        Geometric mean over circles.
    parameters
        Number of weights of each network in the game on request.
    """

    config: MemoryConfig
    in_order: Mapping[str, Floats]
    on_request: Mapping[str, Floats]
    gradients: Mapping[str, Floats]
    fresh_gradients: Mapping[str, Floats]
    parameters: Mapping[str, int]

    def reach(self, kind: str) -> int:
        """Return the distance (people) up to which a network's accuracy is 90 % or more."""
        forgotten = np.flatnonzero(self.on_request[kind] < REACHED)
        return int(forgotten[0]) if len(forgotten) else self.config.distance

    def rows(self) -> list[dict[str, Any]]:
        """Return a table with a row for each network, as plain data."""
        far = self.config.distance
        return [
            {
                "network": self.config.name_of(kind),
                "parameters": self.parameters[kind],
                "in_order": [round(float(a), 3) for a in self.in_order[kind]],
                "on_request": [round(float(a), 3) for a in self.on_request[kind]],
                "reach": self.reach(kind),
                "gradient": float(f"{self.gradients[kind][far]:.2g}")
                if kind in self.gradients
                else None,
            }
            for kind in NETWORKS
        ]


def measure(
    config: MemoryConfig | None = None, *, on_progress: Callable[[int, int], None] | None = None
) -> Memory:
    """Train the four networks on both games, and measure how far back they remember.

    Parameters
    ----------
    config
        Defaults to ``MemoryConfig()``, which takes about 90 s on two cores.
    on_progress
        Called with the number of finished batches and of all batches.

    Raises
    ------
    ValueError
        Keras does not run on TensorFlow, which computes the gradients.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"Expected Keras to run on TensorFlow, received {keras.backend.backend()}. "
            "Set KERAS_BACKEND=tensorflow."
        )
    config = config or MemoryConfig()
    in_order, on_request, parameters = {}, {}, {}
    gradients, fresh = {}, {}
    total = 2 * len(NETWORKS) * config.steps
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if on_progress and (done % 20 == 0 or done == total):
            on_progress(done, total)

    for kind in NETWORKS:
        network = build(kind, config)
        _train(network, kind, config, circle_in_order, count)
        in_order[kind] = _accuracy_in_order(network, config)
        network = build(kind, config)
        parameters[kind] = network.count_params()
        if kind != "window":
            fresh[kind] = _gradients(network, config)
        _train(network, kind, config, circle_on_request, count)
        on_request[kind] = _accuracy_on_request(network, config)
        if kind != "window":
            gradients[kind] = _gradients(network, config)
    return Memory(config, in_order, on_request, gradients, fresh, parameters)


def build(kind: str, config: MemoryConfig) -> keras.Model:
    """Build one of the networks with fresh, seeded weights.

    Returns
    -------
    keras.Model
        (batch, steps, names + 2) to logits (batch, steps, names).
    """
    if kind not in NETWORKS:
        raise ValueError(f"Expected one of {', '.join(NETWORKS)}, received {kind!r}.")
    keras.utils.set_random_seed(config.seed)
    x = inputs = keras.Input((None, config.names + 2))
    if kind == "window":
        x = layers.ZeroPadding1D((config.window - 1, 0))(x)
        x = layers.Conv1D(2 * config.units, config.window, activation="relu")(x)
        x = layers.Dense(config.units, activation="relu")(x)
    else:
        x = NETWORKS[kind](config.units, return_sequences=True, name="memory")(x)
    return keras.Model(inputs, layers.Dense(config.names, name="answer")(x), name=kind)


# --- the games: each returns inputs, targets and the weights of the targets ----------------------

Circles = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.float32]]


def circle_in_order(
    rng: np.random.Generator, config: MemoryConfig, people: npt.NDArray[np.int64] | None = None
) -> Circles:
    """Make circles of the game in order: everyone says a name, then all names are due.

    Parameters
    ----------
    people
        Number of people in each circle, shape (n,); None means drawn.

    Returns
    -------
    inputs : float32 array of shape (n, 2 * config.people, names + 2)
        Name (one-hot), whether somebody speaks, and whether a name is due. Circles shorter than
        ``config.people`` begin later, after zeros.
    targets : int64 array of shape (n, 2 * config.people)
        Name that is due.
    weights : float32 array of shape (n, 2 * config.people)
        1 where a name is due, else 0.
    """
    if people is None:
        people = rng.integers(1, config.people + 1, config.batch_size)
    n, longest = len(people), config.people
    names = rng.integers(0, config.names, (n, longest))
    place = np.arange(2 * longest)
    begin = 2 * (longest - people)[:, None]
    turn = place - begin  # of the speaker, from 0; below 0 nobody is there yet
    speaks = (turn >= 0) & (turn < people[:, None])
    due = turn >= people[:, None]
    targets = np.take_along_axis(names, np.where(speaks, turn, turn - people[:, None]) % longest, 1)
    inputs = np.zeros((n, 2 * longest, config.names + 2), np.float32)
    inputs[..., : config.names] = np.eye(config.names)[targets] * speaks[..., None]
    inputs[..., -2], inputs[..., -1] = speaks, due
    return inputs, targets, due.astype(np.float32)


def circle_on_request(
    rng: np.random.Generator, config: MemoryConfig, ago: npt.NDArray[np.int64] | None = None
) -> Circles:
    """Make circles of the game on request: one name is marked, and asked for at the end.

    Parameters
    ----------
    ago
        Distance (people) of the marked name from the question, shape (n,); None means drawn.

    Returns
    -------
    inputs : float32 array of shape (n, config.distance + 2, names + 2)
        Name (one-hot), whether it is marked, and whether it is asked for.
    targets : int64 array of shape (n, config.distance + 2)
        Marked name.
    weights : float32 array of shape (n, config.distance + 2)
        1 at the question, the last step.
    """
    if ago is None:
        # Each octave of distances is equally frequent: near names are the easier start.
        octave = rng.uniform(0, np.log(config.distance + 1), config.batch_size)
        ago = np.exp(octave).astype(np.int64)
    n, steps = len(ago), config.distance + 2
    names = rng.integers(0, config.names, (n, steps))
    inputs = np.zeros((n, steps, config.names + 2), np.float32)
    inputs[:, :-1, : config.names] = np.eye(config.names)[names[:, :-1]]
    marked = steps - 1 - ago
    inputs[np.arange(n), marked, -2] = 1
    inputs[:, -1, -1] = 1
    targets = np.repeat(names[np.arange(n), marked][:, None], steps, axis=1)
    weights = np.zeros((n, steps), np.float32)
    weights[:, -1] = 1
    return inputs, targets, weights


# --- learning and measuring ----------------------------------------------------------------------


def _train(
    network: keras.Model,
    kind: str,
    config: MemoryConfig,
    circle: Callable[[np.random.Generator, MemoryConfig], Circles],
    count: Callable[[], None],
) -> None:
    rate = config.learning_rate / (2 if kind == "rnn" else 1)
    schedule = keras.optimizers.schedules.CosineDecay(rate, config.steps)
    network.compile(
        keras.optimizers.Adam(schedule, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    rng = np.random.default_rng(config.seed)
    for _ in range(config.steps):
        inputs, targets, weights = circle(rng, config)
        # Keras divides by all steps; the loss is the mean over the steps that are due.
        network.train_on_batch(
            inputs, targets, sample_weight=weights * weights.size / weights.sum()
        )
        count()


def _answers(network: keras.Model, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    return ops.convert_to_numpy(network(inputs, training=False)).argmax(axis=-1)


def _accuracy_in_order(network: keras.Model, config: MemoryConfig) -> Floats:
    rng = np.random.default_rng(config.seed + 1)
    accuracy = []
    for people in range(1, config.people + 1):
        inputs, targets, due = circle_in_order(rng, config, np.full(TRIALS, people))
        accuracy.append(np.mean((_answers(network, inputs) == targets)[due > 0]))
    return np.array(accuracy)


def _accuracy_on_request(network: keras.Model, config: MemoryConfig) -> Floats:
    rng = np.random.default_rng(config.seed + 1)
    ago = np.repeat(np.arange(1, config.distance + 1), TRIALS)
    inputs, targets, _ = circle_on_request(rng, config, ago)
    right = _answers(network, inputs)[:, -1] == targets[:, -1]
    return np.asarray(right.reshape(config.distance, TRIALS).mean(axis=1))


def _gradients(network: keras.Model, config: MemoryConfig) -> Floats:
    """Gradient norms through time, with the marked name at the largest distance."""
    import tensorflow as tf

    rng = np.random.default_rng(config.seed + 2)
    ago = np.full(config.batch_size, config.distance)
    inputs, targets, _ = circle_on_request(rng, config, ago)
    cell = network.get_layer("memory").cell
    states = [tf.zeros((len(inputs), config.units)) for _ in np.ravel(cell.state_size)]
    past = []
    with tf.GradientTape() as tape:
        for x in np.swapaxes(inputs, 0, 1):
            tape.watch(states)
            past.append(states)
            _, states = cell(tf.constant(x), states)
        tape.watch(states)
        past.append(states)
        shown = states[0]  # the hidden state, which the last layer reads
        logits = network.get_layer("answer")(shown)
        right = tf.reduce_sum(tf.gather(logits, targets[:, -1], axis=1, batch_dims=1))
    slopes = tape.gradient(right, past, unconnected_gradients="zero")
    norms = np.array([np.linalg.norm(np.concatenate(parts, axis=1), axis=1) for parts in slopes])
    tiny = np.finfo(np.float32).tiny  # keeps the logarithm of a vanished gradient finite
    mean = np.exp(np.log(np.maximum(norms, tiny)).mean(axis=1))[::-1]  # nearest first
    return np.asarray(mean[: config.distance + 1] / mean[0])
