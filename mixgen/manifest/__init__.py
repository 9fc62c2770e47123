"""The list of mixtures that a set holds, with nothing random left in it."""
