"""How much sound there is: in hours, or by the clock where hours would be 0.00."""

_FEW_HOURS = 0.1


def is_little(hours: float) -> bool:
    """Tell whether a length is below 0.1 h."""
    return hours < _FEW_HOURS


def by_the_clock(hours: float) -> str:
    """Write a length as minutes and seconds: 4:20."""
    minutes, seconds = divmod(round(hours * 3600), 60)
    return f"{minutes}:{seconds:02d}"


def in_words(hours: float) -> str:
    """Write a length with its unit: 12.30 h, 4:20 min."""
    return f"{by_the_clock(hours)} min" if is_little(hours) else f"{hours:,.2f} h"
