"""Words, numbers and names of many shapes; each number from 0 gives others."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from types import MappingProxyType

_SYLLABLES = ("ba", "de", "fi", "go", "lu", "ma", "ne", "ri", "so", "tu", "va", "ze")
_LETTERS = "abdefgilmnorstuvz"
_GREEK = str.maketrans(_LETTERS, "αβδεφγιλμνορστυξζ")
_RUSSIAN = str.maketrans(_LETTERS, "абдефгилмнорстувз")
_CHINESE = "天地玄黄宇宙洪荒日月"


def word(number: int) -> str:
    """A word of letters alone."""
    syllables = ""
    while number or len(syllables) < 6:
        number, at = divmod(number, len(_SYLLABLES))
        syllables += _SYLLABLES[at]
    return syllables


def _chinese(number: int) -> str:
    return "鍵" + "".join(_CHINESE[int(digit)] for digit in f"{number:03}") + "限"


NUMBERS: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "integer": lambda n: f"{n + 1000}",
        "thousands": lambda n: f"{n + 1},{n + 134:03}.{n % 90 + 10}",
        "negative": lambda n: f"-{n + 3}",
        "signed": lambda n: f"+{n + 3}.5",
        "minus": lambda n: f"\u2212{n + 3}",  # the minus sign, which is no hyphen
        "power": lambda n: f"2^{n + 32}",
        "hexadecimal": lambda n: f"0x{n + 31:X}F",
        "percent": lambda n: f"{n + 10}%",
        "exponent": lambda n: f"{n + 1}e-5",
        "version": lambda n: f"v2.{n + 3}.1",
        "date": lambda n: f"{date(2024, 3, 5) + timedelta(n)}",
        "time": lambda n: f"{n // 60 + 1}:{n % 60:02}:05",
        "network": lambda n: f"10.{n // 250}.{n % 250}.0/24",
        "range": lambda n: f"{n + 10}\u2013{n + 20}",
        "fraction": lambda n: f"0.00{n + 1}",
        "comma": lambda n: f"{n + 1},5",
        "euro": lambda n: f"€{n + 5}",
        "dollar": lambda n: f"${n + 5}",
        "tolerance": lambda n: f"±{n + 3}",
        "less": lambda n: f"<{n + 7}",
        "more": lambda n: f">{n + 7}",
        "at least": lambda n: f"≥{n + 7}",
        "about": lambda n: f"~{n + 7}",
        "issue": lambda n: f"#{n + 12}",
        "ratio": lambda n: f"{n + 3}:1",
        "product": lambda n: f"{n + 30_000}*{n + 7}",
        "quotient": lambda n: f"{n + 3}/{n + 400}",
        "assigned": lambda n: f"n={n + 1}",
    }
)
WORDS: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "word": word,
        "German": lambda n: f"Größe{word(n)}",
        "French": lambda n: f"l\u2019é{word(n)}ç",
        "Polish": lambda n: f"łż{word(n)}ź",
        "Greek": lambda n: f"έ{word(n).translate(_GREEK)}ς",
        "Russian": lambda n: f"{word(n).translate(_RUSSIAN)}ь",
        "Chinese": _chinese,
    }
)
NAMES: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "underscores": lambda n: f"max_{word(n)}_size",
        "dunder": lambda n: f"__{word(n)}__",
        "private": lambda n: f"_{word(n)}_",
        "hyphens": lambda n: f"ledger-{word(n)}.yaml",
        "option": lambda n: f"--max-{word(n)}",
        "dotted": lambda n: f"os.{word(n)}.join()",
        "path": lambda n: f"/etc/{word(n)}/conf.d",
        "windows path": lambda n: f"C:\\{word(n)}\\-temp",
        "mail": lambda n: f"{word(n)}@example.org",
        "star": lambda n: f"*{word(n)}",
        "stars": lambda n: f"**{word(n)}**",
        "pipe": lambda n: f"fast|{word(n)}",
        "generic": lambda n: f"List<{word(n)}>",
        "tag": lambda n: f"<{word(n)}>",
        "entity": lambda n: f"&{word(n)};",
        "known entity": lambda n: f"{word(n)}&lt;",
        "brackets": lambda n: f"{word(n)}[0]",
        "bracketed": lambda n: f"[{word(n)}]",
        "braces": lambda n: f"{{{word(n)}}}",
        "variable": lambda n: f"${word(n)}",
        "tildes": lambda n: f"~~{word(n)}~~",
        "backtick": lambda n: f"`{word(n)}",
        "comment": lambda n: f"<!--{word(n)}-->",
        "role": lambda n: f":{word(n)}:",
        "reference": lambda n: f"{word(n)}_",
        "substitution": lambda n: f"|{word(n)}|",
        "tab escape": lambda n: f"\\t{word(n)}",
    }
)
SHAPES: Mapping[str, Callable[[int], str]] = MappingProxyType({**WORDS, **NUMBERS, **NAMES})
"""What tokens look like, by name."""
