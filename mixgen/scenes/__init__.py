"""Scaper decides what happens in a mixture; the distributions and draws that it is given."""
