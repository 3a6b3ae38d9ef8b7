"""Words as search compares them: what was written one way is found when asked another."""

import pytest

from database.searching.terms import identifiers, is_identifier, terms, terms_of, word_parts, words

IDENTIFIERS = [
    ("CreateEndpointConfig", ["create", "endpoint", "config"]),
    ("ml.p3.2xlarge", ["ml", "p", "3", "2", "xlarge"]),
    ("sagemaker:InvokeEndpoint", ["invoke", "endpoint"]),
    ("early_stopping_rounds", ["early", "stopping", "rounds"]),
    ("HTTPServerPort", ["http", "server", "port"]),
    ("kiln-dry-wood", ["kiln", "dry", "wood"]),
]


@pytest.mark.parametrize(("name", "expected"), IDENTIFIERS)
def test_an_identifier_is_one_word_and_is_known_by_its_parts(
    name: str, expected: list[str]
) -> None:
    assert words(f"Call {name}, then wait.") == ["Call", name, "then", "wait"]
    assert word_parts(name) == expected


@pytest.mark.parametrize(
    "name",
    ["CreateEndpointConfig", "ml.p3.2xlarge", "sagemaker:InvokeEndpoint", "kiln_7", "p3", "top-k"],
)
def test_an_identifier_comes_whole_and_then_by_part(name: str) -> None:
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
        pytest.param(
            "XGBoost",
            "xgboost",
        ),
        pytest.param(
            "MXNet",
            "mxnet",
        ),
    ],
)
def test_a_name_written_in_two_ways_meets_beside_its_parts(one: str, other: str) -> None:
    plain = {term for part in word_parts(one) for term in terms_of(part)}
    assert (set(terms(one)) & set(terms(other))) - plain


def test_a_path_is_not_run_together() -> None:
    found = terms("/opt/kiln/input/data/train")
    assert found == ["opt/kiln/input/data/train", "opt", "kiln", "input", "data", "train"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("kilns", "Kiln"), ("dried", "dries"), ("stopping", "stops"), ("volumes", "VOLUME")],
)
def test_endings_and_capitals_do_not_matter(one: str, other: str) -> None:
    assert terms(one) == terms(other) != []


def test_plural_of_a_short_name_meets_it() -> None:
    assert set(terms("VPC")) <= set(terms("VPCs"))


@pytest.mark.parametrize(
    "text",
    [
        "How do I use it with Amazon AWS?",
        "",
        "?! -- ...",
        pytest.param(
            "In SageMaker",
        ),
        pytest.param(
            "It's us",
        ),
    ],
)
def test_words_that_say_nothing_give_no_terms(text: str) -> None:
    assert terms(text) == []


def test_terms_keep_their_order_and_repeat() -> None:
    assert terms("Oak dries. Ash burns, oak does not.") == ["oak", "dri", "ash", "burn", "oak"]


def test_what_is_as_long_as_data_is_cut() -> None:
    giant = "kiln." * 10_000
    found = terms_of(giant.rstrip("."))
    assert max(map(len, found)) <= 200
    assert len(found) <= 101


def test_identifiers_of_a_text_are_told_from_its_words() -> None:
    text = "Kilns of ml.p3 or KilnConfig, set in oak_age, are hot since 1999."
    assert identifiers(text) == {"ml.p3", "kilnconfig", "oak_age"}


@pytest.mark.parametrize(
    ("term", "expected"),
    [("ml.p3", True), ("oak_age", True), ("p3", True), ("oak", False), ("1999", False)],
)
def test_whole_identifier_is_told_from_a_plain_word(term: str, *, expected: bool) -> None:
    assert is_identifier(term) == expected
