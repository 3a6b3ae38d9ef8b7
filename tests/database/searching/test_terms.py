"""Terms: tokens, stems and the parts of identifiers."""

import pytest

from database.searching.terms import (
    identifiers,
    is_address,
    is_identifier,
    terms,
    terms_of,
    word_parts,
    words,
)

IDENTIFIERS = [
    ("CreateEndpointConfig", ["create", "endpoint", "config"]),
    ("ml.p3.2xlarge", ["ml", "p", "3", "2", "xlarge"]),
    ("sagemaker:InvokeEndpoint", ["invoke", "endpoint"]),
    ("early_stopping_rounds", ["early", "stopping", "rounds"]),
    ("HTTPServerPort", ["http", "server", "port"]),
    ("kiln-dry-wood", ["kiln", "dry", "wood"]),
]


@pytest.mark.parametrize(("name", "expected"), IDENTIFIERS)
def test_identifier_is_one_word_with_its_parts(name: str, expected: list[str]) -> None:
    assert words(f"Call {name}, then wait.") == ["Call", name, "then", "wait"]
    assert word_parts(name) == expected


@pytest.mark.parametrize(
    "name",
    ["CreateEndpointConfig", "ml.p3.2xlarge", "sagemaker:InvokeEndpoint", "kiln_7", "p3", "top-k"],
)
def test_identifier_gives_the_whole_and_then_its_parts(name: str) -> None:
    first, *others = terms(name)

    assert first == name.lower()
    assert is_identifier(first) or first.isalpha()
    for part in word_parts(name):
        assert set(terms_of(part)) <= set(others)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("EarlyStoppingRounds", "early_stopping_rounds"),
        ("earlyStoppingRounds", "early-stopping-rounds"),
        ("KilnConfig", "kiln_configs"),
        ("CreateKilnConfig", "createkilnconfig"),
        ("XGBoost", "xgboost"),
        ("MXNet", "mxnet"),
        ("fine-tuning", "finetuning"),
        ("multi_kiln", "multikilns"),
        ("MultiKiln", "multi-kiln"),
        ("node.js", "NodeJS"),
        ("kilns.create_kiln_config", "CreateKilnConfig"),
        ("https://kiln.example/API_CreateKilnConfig.html", "create_kiln_config"),
        ("arn:aws:oak:eu-west-1:123456789012:kiln-group/mine", "KilnGroup"),
        ("oak:InvokeKiln", "invoke-kiln"),
        ("max_kilns_per_oak_tree_and_year", "MaxKilnsPerOakTreeAndYear"),
    ],
)
def test_spellings_of_a_name_share_the_joined_term(one: str, other: str) -> None:
    plain = {term for part in word_parts(one) for term in terms_of(part)}
    assert (set(terms(one)) & set(terms(other))) - plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zürich", "Zurich"),
        ("Zu\u0308rich", "ZÜRICH"),
        ("Łódź", "lodz"),
        ("Straße", "Strasse"),
        ("Ålesund", "A\u030alesund"),
        ("œuvre", "oeuvre"),
        ("Tromsø", "TROMSO"),
        ("con\ufb01guration", "configuration"),
        ("\uff23\uff52\uff45\uff41\uff54\uff45\uff2b\uff49\uff4c\uff4e", "CreateKiln"),
        ("kiln\u2011heat", "kiln-heat"),
        ("Create\u200bKiln", "CreateKiln"),
        ("kil\u00adns", "kilns"),
        ("naïve", "naive"),
        ("\u01ff", "o"),
        ("STRA\u1e9eE", "strasse"),
        ("Москва", "москва"),
    ],
)
def test_accents_and_variants_of_letters_are_the_same_word(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


def test_letters_of_other_scripts_are_words() -> None:
    assert terms("Цена für 東京 データ kiln") == ["цена", "fur", "東京", "データ", "kiln"]


def test_languages_named_by_one_letter_are_different_words() -> None:
    assert terms("C") == ["c"]
    assert terms("C++") == terms("c++17")[:1] == ["c++"]
    assert terms("C#, F#.") == ["c#", "f#"]
    assert terms("Count++; for i++: kiln# burns") == ["count", "kiln", "burn"]
    assert words("C#7 and page#anchor") == ["C", "7", "and", "page", "anchor"]
    assert identifiers("In C++ or C, not C#") == {"c++", "c#"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("https://kiln.example/a/b-c", True),
        ("https://kiln.example/oak", False),
        ("arn:aws:oak:eu-west-1:1:kiln", True),
        ("opt/kiln/input/data/train", True),
        ("ml.k3.48xlarge", False),
        ("oak:InvokeKiln", False),
        ("and/or", False),
        ("max_kilns_per_oak_tree", False),
    ],
)
def test_address_is_distinguished_from_a_name(word: str, *, expected: bool) -> None:
    assert is_address(words(word)[-1]) == expected


def test_path_is_not_joined_into_one_term() -> None:
    found = terms("/opt/kiln/input/data/train")
    assert found == ["opt/kiln/input/data/train", "opt", "kiln", "input", "data", "train"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("kilns", "Kiln"), ("dried", "dries"), ("stopping", "stops"), ("volumes", "VOLUME")],
)
def test_terms_ignore_suffixes_and_case(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


def test_plural_of_a_short_name_matches_it() -> None:
    assert set(terms("VPC")) <= set(terms("VPCs"))


@pytest.mark.parametrize(
    "text", ["How do I use it with Amazon AWS?", "", "?! -- ...", "In SageMaker", "It's us"]
)
def test_stop_words_give_no_terms(text: str) -> None:
    assert terms(text) == []


def test_terms_keep_their_order_and_repeat() -> None:
    assert terms("Oak dries. Ash burns, oak does not.") == ["oak", "dri", "ash", "burn", "oak"]


def test_huge_token_is_truncated() -> None:
    giant = "kiln." * 10_000
    found = terms_of(giant.rstrip("."))
    assert max(map(len, found)) <= 200
    assert len(found) <= 101


def test_identifiers_are_separated_from_words() -> None:
    text = "Kilns of ml.p3 or KilnConfig, set in oak_age, are hot since 1999."
    assert identifiers(text) == {"ml.p3", "kilnconfig", "oak_age"}


@pytest.mark.parametrize(
    ("term", "expected"),
    [("ml.p3", True), ("oak_age", True), ("p3", True), ("oak", False), ("1999", False)],
)
def test_identifier_is_distinguished_from_a_plain_word(term: str, *, expected: bool) -> None:
    assert is_identifier(term) == expected
