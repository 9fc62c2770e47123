"""Leaderboards: ranks, intervals, slices, seeds and counts, made from score folders alone."""
