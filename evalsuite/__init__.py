"""Metrics, scores, leaderboard and regression gate for audio source separation."""
