"""Numbers in words. Pure."""


def duration(seconds: float) -> str:
    """Return a duration in the two largest units that matter: 45 s, 3 min 20 s, 7 h 05 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def short_duration(seconds: float) -> str:
    """Return a duration for a column: 45s, 3m 20s, 3h 12m, 2d 4h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def age(seconds: float) -> str:
    """Return an age in its largest unit: 45s, 3m, 7h, 12d."""
    return short_duration(seconds).split(" ", 1)[0]


def dice(value: float | None) -> str:
    """Return a Dice score with three digits, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def shorten(text: str, width: int) -> str:
    """Return a text in one line, cut to a width."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(0, width - 1)].rstrip() + "…"


def listed(words: list[str]) -> str:
    """Return words as a list in a sentence: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def printable(text: str) -> str:
    """Return a text that leaves a terminal in peace, with as many characters.

    Control characters, and those that change the direction of writing, become �; tabs and carriage returns, which
    progress bars write, become spaces.
    """
    return "".join(char if char.isprintable() or char == "\n" else " " if char in "\t\r" else "�" for char in text)
