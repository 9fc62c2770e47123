"""Train a classifier of emotion on clean speech, and ask it about any."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from evalsuite.probes._signals import Signal, judged
from evalsuite.probes.emotion.features import Features, features
from evalsuite.probes.emotion.network import Batch, EmotionNetwork, Standardised
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from mixgen.corpora.layout import emotion_of
from mixgen.corpora.roots import Roots, locate_file
from mixgen.corpora.sources import SourceRow

Fusion = Literal["joint", "frozen"]

EPOCHS = 25
BATCH = 32
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 1e-2


@dataclass(frozen=True)
class Clip:
    """Speech with one emotion.

    Attributes:
        emotion: that it is spoken with.
        talker: who speaks.
        samples: at 16 kHz, shape (time,).
        text: that is spoken.
    """

    emotion: str
    talker: str
    samples: Signal
    text: str = ""


@dataclass(frozen=True)
class Described:
    """A clip as its features, by their kind."""

    emotion: str
    talker: str
    features: Mapping[str, Features]


def read_clips(
    rows: Iterable[SourceRow], roots: Roots, emotions: Sequence[str] | None = None
) -> list[Clip]:
    """Read the first channel of the files that are spoken with an emotion, by default any.

    Raises:
        InputError: no file is, or one cannot be read.
    """
    clips = []
    for row in rows:
        emotion = emotion_of(row.path)
        if emotion and (emotions is None or emotion in emotions):
            samples, rate = read_audio(locate_file(roots, row.corpus, row.path))
            clips.append(Clip(emotion, row.owner, judged(samples[0], rate), row.text))
    if not clips:
        raise InputError(
            "No source is spoken with such an emotion: index EmoDB, RAVDESS or CREMA-D, whose file "
            "names hold it."
        )
    return clips


def describe(clip: Clip, kinds: Sequence[str]) -> Described:
    """Return a clip as its features."""
    found = {kind: features(kind, clip.samples, clip.text) for kind in kinds}
    return Described(clip.emotion, clip.talker, found)


def collated(clips: Sequence[Described], kinds: Sequence[str]) -> Batch:
    """Return the features of clips as one batch, filled up with zeros."""
    batch = {}
    for kind in kinds:
        signals = [torch.from_numpy(clip.features[kind]) for clip in clips]
        lengths = torch.tensor([len(signal) for signal in signals])
        padded = nn.utils.rnn.pad_sequence(signals, batch_first=True)
        batch[kind] = (padded, torch.arange(padded.shape[1])[None] < lengths[:, None])
    return batch


def train(
    clips: Sequence[Described],
    emotions: Sequence[str],
    kinds: Sequence[str],
    *,
    fusion: Fusion = "joint",
    epochs: int = EPOCHS,
    seed: int = 0,
    singles: Mapping[str, EmotionNetwork] | None = None,
) -> EmotionNetwork:
    """Return a network that was trained to tell these emotions; rare ones weigh as much as others.

    With the fusion `frozen` each branch is trained by itself first; the layer over them is then
    trained on the outputs of the branches as they are.

    Args:
        clips: clean speech.
        emotions: in the order of the network's outputs.
        kinds: of the features, one branch each.
        fusion: how several branches are trained.
        epochs: of each training.
        seed: of the weights and of the order of clips.
        singles: networks of one kind each that were trained on the same clips, for `frozen`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EmotionNetwork(kinds, len(emotions))
        targets = torch.tensor([emotions.index(clip.emotion) for clip in clips])
        if fusion == "joint":
            _standardise(network, clips)
            _fit(network, targets, epochs, lambda ks: network(_of(clips, ks, kinds)))
            return network.eval()
        known = dict(singles or {})
        for kind in kinds:
            single = known.get(kind) or train(clips, emotions, [kind], epochs=epochs, seed=seed)
            network.branches[kind] = single.branches[kind].requires_grad_(False)
        with torch.no_grad():
            joined = network.eval().joined(collated(clips, kinds))
        _fit(network, targets, epochs, lambda i: network.decided(joined[i]))
    return network.eval()


def _of(clips: Sequence[Described], numbers: Sequence[int], kinds: Sequence[str]) -> Batch:
    return collated([clips[number] for number in numbers], kinds)


def _standardise(network: EmotionNetwork, clips: Sequence[Described]) -> None:
    for kind, module in network.branches.items():
        for part in module.modules():
            if isinstance(part, Standardised):
                frames = np.concatenate([clip.features[kind] for clip in clips])
                part.fit(torch.from_numpy(frames))


def _fit(
    network: EmotionNetwork, targets: Tensor, epochs: int, logits: Callable[[list[int]], Tensor]
) -> None:
    """Train what is not frozen with AdamW, its rate falling to 0 along a cosine.

    Args:
        network: to train.
        targets: number of the emotion of each clip.
        epochs: to train for.
        logits: returns the output of the network for clips of these numbers.
    """
    n_emotions = network.head.out_features
    weights = len(targets) / torch.bincount(targets, minlength=n_emotions).clamp(min=1).float()
    trained = [value for value in network.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(targets)).split(BATCH):
            loss = nn.functional.cross_entropy(
                logits(chosen.tolist()), targets[chosen], weight=weights
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 5.0)
            optimizer.step()
        schedule.step()


def predicted(network: EmotionNetwork, clip: Described) -> int:
    """Return the number of the emotion that a network hears in a clip."""
    with torch.inference_mode():
        logits: Tensor = network(collated([clip], list(network.branches)))
    return int(logits[0].argmax())


def uar(truth: Sequence[str], heard: Sequence[str]) -> float:
    """Return the unweighted average recall: the mean over emotions of the share that is heard."""
    pairs = list(zip(truth, heard, strict=True))
    recalls = [
        np.mean([heard == emotion for true, heard in pairs if true == emotion])
        for emotion in sorted(set(truth))
    ]
    return float(np.mean(recalls))


def leave_talkers_out(
    clean: Sequence[Described],
    asked: Mapping[str, Sequence[Described]],
    train_on: Callable[[Sequence[Described]], EmotionNetwork],
    emotions: Sequence[str],
    folds: int | None = None,
) -> dict[str, float]:
    """Return the UAR of each condition, every talker judged by a network that never heard them.

    Args:
        clean: to train on.
        asked: condition to the clips to judge, in any order.
        train_on: returns the network of some clips.
        emotions: in the order of the network's outputs.
        folds: groups of talkers that are left out together; by default each talker is one.
    """
    truth: dict[str, list[str]] = {condition: [] for condition in asked}
    heard: dict[str, list[str]] = {condition: [] for condition in asked}
    talkers = sorted({clip.talker for clip in clean})
    for first in range(min(folds or len(talkers), len(talkers))):
        left_out = set(talkers[first :: folds or len(talkers)])
        network = train_on([clip for clip in clean if clip.talker not in left_out])
        for condition, clips in asked.items():
            own = [clip for clip in clips if clip.talker in left_out]
            truth[condition] += [clip.emotion for clip in own]
            heard[condition] += [emotions[predicted(network, clip)] for clip in own]
    return {condition: uar(truth[condition], heard[condition]) for condition in asked}
