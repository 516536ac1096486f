"""Numbers in sentences. Pure."""


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with what it counts: 1 case, 2 cases.

    Words that go with the noun are given in both forms: counted(1, "file is", "files are").
    """
    return f"{number} {one if number == 1 else several or f'{one}s'}"
