"""Rooms: responses from a source to the microphones, and what they do to a signal."""
