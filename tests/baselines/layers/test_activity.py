"""Levels of estimates relative to the mixture, and the loudest of them."""

import pytest
import torch

from baselines.layers.activity import SILENT_DB, loudest, relative_levels_db


def test_levels_are_ratios_of_energies_over_all_channels() -> None:
    mixture = torch.ones(1, 2, 100)
    estimates = torch.stack([0.1 * mixture[0], 2 * mixture[0], torch.zeros(2, 100)])[None]
    levels_db = relative_levels_db(mixture, estimates)[0].tolist()
    assert levels_db[:2] == pytest.approx([-20.0, 6.0206], abs=1e-4)
    assert levels_db[2] == SILENT_DB


def test_levels_of_silence_are_finite() -> None:
    levels_db = relative_levels_db(torch.zeros(1, 1, 9), torch.zeros(1, 2, 1, 9))
    assert levels_db.tolist() == [[SILENT_DB, SILENT_DB]]


def test_the_loudest_are_counted_for_each_mixture_and_are_never_silent() -> None:
    levels_db = torch.tensor([[-3.0, -20.0, -1.0], [SILENT_DB, -50.0, SILENT_DB]])
    kept = loudest(levels_db, torch.tensor([2, 2]))
    assert kept.tolist() == [[True, False, True], [False, True, False]]
    assert not loudest(levels_db, torch.tensor([0, 0])).any()
