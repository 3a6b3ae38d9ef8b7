"""Writes numbers as letters or in Roman numerals, as lists show them."""

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MAX_ROMAN = 10_000


def numeral(number: int, kind: str) -> str:
    """A number in one of Word's formats; in digits where the format is not known here."""
    match kind:
        case "lowerLetter" | "upperLetter" if number > 0:
            text = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 100)
        case "lowerRoman" | "upperRoman" if 0 < number < _MAX_ROMAN:
            text = ""
            for size, sign in _ROMAN:
                text += sign * (number // size)
                number %= size
        case "decimalZero":
            text = f"{number:02}"
        case "none":
            text = ""
        case _:
            text = str(number)
    return text.upper() if kind.startswith("upper") else text
