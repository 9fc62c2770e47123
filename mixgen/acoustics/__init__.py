"""Rooms, responses, moving sources and the path of an echo."""
