"""Rooms, room responses, moving sources and echo paths."""
