"""An answer is checked against its passages. The texts are invented."""

from dataclasses import replace

import pytest

from database.searching.passage import Passage
from inference_worker.answer import Grounding
from inference_worker.grounding.check import ground
from tests.files.pages import chunk
from tests.stopwatch import assert_linear_time, takes_less_than

LIMITS = """\
A kiln times out after **60 seconds** by default. You can raise this to 15 minutes, and you
can retry `CreateKilnConfig` up to three times. Each volume holds 5 GB, or 1,024 boards.

| Setting | Default (MB) | Most |
| --- | --- | --- |
| BufferSize | 64 | 512 |

- `KmsKeyId`: the key that encrypts the volume. It needs *version 3.10* or later.
- `role_arn`: see arn:aws:iam::123456789012:role/Kiln."""
CALLS = """\
Call kiln:InvokeDryer from an ml.p3.2xlarge instance in us-east-1. Dry with `kiln-train --role-arn
ROLE --wait` and read `s3://kilns/logs/`. The dryer says “done \u2013 all boards are dry” after 20%
of the time.

```python
client.create_kiln(KilnName='oak', HeatType="steam", Hours=12)
```

For details see [the guide](https://kiln.example/guide)."""
STORY = (
    "Kilns were first built of brick. Between 8 and 10 hours pass before all eleven boards are dry."
)


def passage(text: str, *, document: str = "kilns.md", title: str = "Kilns") -> Passage:
    made = chunk(text, document=document, title=title, headings=("Use DryerKind",))
    made = replace(made, url=f"https://docs.example/{document}#use")
    return Passage(made, text, score=0.5)


PASSAGES = [passage(LIMITS), passage(CALLS, document="train_kilns.md"), passage(STORY)]


def grounded(text: str) -> Grounding:
    return ground(text, PASSAGES)


def unsupported(text: str) -> list[str]:
    found = grounded(text).unsupported
    assert all(text[each.start : each.end] == each.text for each in found)
    return [f"{each.kind}: {each.text}" for each in found]


SUPPORTED = [
    "60 seconds, 1 minute, 60s, 60-second, 60 sec.",
    "15 minutes, 15 min, 900 seconds, a 15-minute wait",
    "5 GB, 5GB, 5 gigabytes, 5",
    "1,024 and 1024",
    "64 MB, as the table's head has the unit",
    "3 times and three times, nineteen",
    "8 hours and 10 hours, 8-10 hours, 8–10 h",  # noqa: RUF001
    "20%, 20 percent and 20 %",
    "version 3.10",
    "`CreateKilnConfig`, **CreateKilnConfig** and CreateKilnConfig().",
    "_KmsKeyId_ and KmsKeyId's",
    "Create\u200bKiln\u00adConfig and \u202eKmsKeyId\u202c",
    "kiln:InvokeDryer, InvokeDryer, ml.p3.2xlarge, us-east-1, us\u2011east\u20111",
    "arn:aws:iam::123456789012:role/Kiln.",
    "s3://kilns/logs/ and https://kiln.example/guide.",
    "[here](https://docs.example/kilns.md), https://docs.example/kilns.md#use",
    "DryerKind stands in a heading, train_kilns.md is a page",
    "`kiln-train --role-arn ROLE --wait`, --role-arn",
    '"done - all boards are dry", “Done – all boards are dry.”',  # noqa: RUF001
    '"A kiln times out ... by default"',
    '"retry CreateKilnConfig up to three times [1]"',
    "**Oak:** dries. The **brick:** burns.",
    "1. First\n2. Second\n17) Third\n**18. Fourth**",
    "Step 7 and steps 8 to 19. The 21st of the 1990s.",
    "SageMaker, `sagemaker`, e.g. this, i.e. that, the U.S. one",
    "```\nfor x in range(7):\n    print(job_name)\njob_name = 5\n```",
    "```python\nimport boto3\nmine = client.create_kiln(KilnName='oak')\n```",
    "`client.create_kiln`, `KilnName='oak'`, `<your-kiln>`, `my-kiln --wait`, `*`",
    "What [1][2] are [3] markers?",
    "one two seventeen",
    "11 boards",
    "使用CreateKilnConfig创建，最多15分钟",  # noqa: RUF001
]


@pytest.mark.parametrize("text", SUPPORTED)
def test_items_in_a_passage_are_supported(text: str) -> None:
    assert unsupported(text) == []


UNSUPPORTED = {
    "It takes 61 seconds.": ["number: 61 seconds"],
    "It takes 60 minutes.": ["number: 60 minutes"],
    "It takes 60 hours.": ["number: 60 hours"],
    "Up to 5 MB.": ["number: 5 MB"],
    "Up to 5 GiB.": ["number: 5 GiB"],
    "Up to 150 or 1.5 or 1 or 51.": ["number: 150", "number: 1.5", "number: 51"],
    "Up to 1,025 boards.": ["number: 1,025"],
    "Up to 102 and 024.": ["number: 102", "number: 024"],
    "Some 25% of it, 2x as fast.": ["number: 25%", "number: 2x"],
    "Version 3.1 or 3.10.1.": ["number: 3.1", "number: 3.10.1"],
    "It costs $15, or -15.": ["number: $15", "number: -15"],
    "Call `CreateKilnConfigs`.": ["identifier: CreateKilnConfigs"],
    "Call CreateKiln.": ["identifier: CreateKiln"],
    "Call KilnConfig.": ["identifier: KilnConfig"],
    "Call CreateKilnConfiguration.": ["identifier: CreateKilnConfiguration"],
    "Call createKilnConfig.": ["identifier: createKilnConfig"],
    "Set KmsKeyID and role_arns.": ["identifier: KmsKeyID", "identifier: role_arns"],
    "Use ml.p3.8xlarge in us-west-1.": ["identifier: ml.p3.8xlarge", "identifier: us-west-1"],
    "Use us\u2011east\u20112 or us-east-1b.": [
        "identifier: us\u2011east\u20112",
        "identifier: us-east-1b",
    ],
    "Allow kiln:InvokeDryers and dryer:InvokeDryer.": [
        "identifier: kiln:InvokeDryers",
        "identifier: dryer:InvokeDryer",
    ],
    "Allow kiln:*.": ["identifier: kiln:*"],
    "On an A100 or in train.py": ["identifier: A100", "identifier: train.py"],
    "Read /opt/kiln/model now": ["identifier: /opt/kiln/model"],
    "arn:aws:iam::123456789012:role/Kilns": ["arn: arn:aws:iam::123456789012:role/Kilns"],
    "arn:aws:iam::123456789013:role/Kiln": ["arn: arn:aws:iam::123456789013:role/Kiln"],
    "Pass --role-arns or --role.": ["flag: --role-arns", "flag: --role"],
    "See https://kiln.example/guides, https://kiln.example.": [
        "url: https://kiln.example/guides",
        "url: https://kiln.example",
    ],
    "Read s3://kilns/log.": ["url: s3://kilns/log"],
    'It says "all boards are wet", “KmsKeyIds”.': ["quote: all boards are wet", "quote: KmsKeyIds"],
    'It says "look up `KmsKeyIds` there".': ["quote: look up `KmsKeyIds` there"],
    "Set `wet` to 99 for `Steam`.": ["code: wet", "number: 99", "code: Steam"],
    "Run `kiln-dry --wait --now`.": ["code: kiln-dry", "flag: --now"],
    "Set `wet`, `Steam`.": ["code: wet", "code: Steam"],
    "```python\nclient.create_kilns(KilnNames='elm', Hours=13)\n```": [
        "identifier: client.create_kilns",
        "identifier: KilnNames",
        "code: elm",
        "number: 13",
    ],
    "```\nunclosed SteamKind": ["identifier: SteamKind"],
    "Cyrillic CreateKilnС\u043enfig": ["identifier: CreateKilnС\u043enfig"],  # noqa: RUF001
    "Cyrillic KmsKey\u0406d": ["identifier: KmsKey\u0406d"],
    "Zero\u200bWidthThing at 7\u200b7": ["identifier: Zero\u200bWidthThing", "number: 7\u200b7"],
    "It dries (99 boards).\r\nThen 98.\r\n": ["number: 99", "number: 98"],
    "KilnBed, then KilnBed": ["identifier: KilnBed", "identifier: KilnBed"],
}


@pytest.mark.parametrize(("text", "missing"), UNSUPPORTED.items())
def test_items_in_no_passage_are_reported(text: str, missing: list[str]) -> None:
    assert unsupported(text) == missing


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("", ["BarkKiln", "7", "all is wet", "eu-west-9"]),
        ('Does BarkKiln 7 in eu-west-9 say "all is wet"?', []),
        (
            "Do BarkKilns 70 in eu-west-99 say that all is dry?",
            ["BarkKiln", "7", "all is wet", "eu-west-9"],
        ),
    ],
)
def test_an_answer_may_repeat_the_question(question: str, missing: list[str]) -> None:
    text = 'No passage is about BarkKiln 7, "all is wet" or eu-west-9.'
    assert [each.text for each in ground(text, PASSAGES, question).unsupported] == missing


def test_without_passages_nothing_is_supported() -> None:
    grounding = ground("Set KmsKeyId to 5 [1].", [])
    assert [each.text for each in grounding.unsupported] == ["KmsKeyId", "5"]
    assert grounding.citations == []


def test_an_empty_answer_has_nothing_to_check() -> None:
    assert ground("", PASSAGES) == Grounding([], [], 0, [], [], 0)


QUOTED = {
    "The default is 60 seconds [1].": "A kiln times out after **60 seconds** by default.",
    "Raise it, as you can, to more [1].": "You can raise this to 15 minutes, and you\ncan retry "
    "`CreateKilnConfig` up to three times.",
    "The buffer holds 64 MB [1].": "| BufferSize | 64 | 512 |",
    "It is encrypted with KmsKeyId. [1]": "`KmsKeyId`: the key that encrypts the volume.",
    "Call `create_kiln` [2].": "client.create_kiln(KilnName='oak', HeatType=\"steam\", Hours=12)",
    "Once they were brick [3].": "Kilns were first built of brick.",
}


@pytest.mark.parametrize(("text", "quote"), QUOTED.items())
def test_a_citation_quotes_the_nearest_words_of_its_passage(text: str, quote: str) -> None:
    (citation,) = grounded(text).citations
    assert text[citation.start : citation.end] == f"[{citation.number}]"
    assert citation.quote == quote
    assert quote in PASSAGES[citation.number - 1].text


def test_rare_words_outweigh_frequent_ones() -> None:
    texts = ["Kilns burn. Larch dries well.", "The kiln burns.", "No kiln."]
    (citation,) = ground("A kiln for larch [1].", [*map(passage, texts)]).citations
    assert citation.quote == "Larch dries well."


def test_of_equal_pieces_the_shorter_is_quoted() -> None:
    oak = passage("Oak, as it is, dries. Oak dries. Oak again dries then.")
    assert ground("Oak dries [1].", [oak]).citations[0].quote == "Oak dries."


def test_a_long_line_is_quoted_in_part() -> None:
    long = passage(
        "Wood is dry. " + "dull " * 200 + "Oak dries in the kiln at night " + "dull " * 99
    )
    (citation,) = ground("Oak dries at night [1].", [long]).citations
    assert "Oak" in citation.quote
    assert len(citation.quote) <= 300
    assert citation.quote in long.text


def test_brackets_in_code_links_and_definitions_are_not_citations() -> None:
    text = "`a[1]` [2](https://kiln.example/guide) [the guide][3]\n\n```\nb[1]\n```\n\n[1]: it"
    assert grounded(text).citations == []


def test_adjacent_citations_are_separate() -> None:
    found = grounded("Wood dries [1][3]. Then [99] it [2] is dry.").citations
    assert [(each.number, each.start) for each in found] == [(1, 11), (3, 14), (2, 32)]


def test_positions_count_invisible_characters() -> None:
    text = "\u200bWood\u200b dries\u200b [1]."
    (citation,) = grounded(text).citations
    assert text[citation.start : citation.end] == "[1]"


def test_a_citation_of_the_wrong_passage_is_misplaced() -> None:
    text = "It runs on ml.p3.2xlarge [1]. It takes 60 seconds [1]."
    (misplaced,) = grounded(text).misplaced
    assert (misplaced.number, misplaced.found_in) == (1, (2,))
    assert text[misplaced.start : misplaced.end] == "[1]"
    assert misplaced.start < 30


@pytest.mark.parametrize(
    "text",
    [
        "It runs on ml.p3.2xlarge [1][2].",
        "It runs on ml.p3.2xlarge for 60 seconds [1].",
        "It runs on ml.p3.8xlarge [1].",
        "It runs well on the larger instance [1].",
        "It runs on ml.p3.2xlarge.",
    ],
    ids=["one of two", "some there", "nowhere", "nothing to check", "no citation"],
)
def test_a_citation_is_not_misplaced_without_evidence(text: str) -> None:
    assert grounded(text).misplaced == []


def test_the_passage_with_most_of_a_misplaced_sentence_is_reported() -> None:
    (misplaced,) = grounded("Set HeatType for 10 hours with KilnName [1].").misplaced
    assert misplaced.found_in == (2,)


def test_passages_cited_more_come_first() -> None:
    assert grounded("A [3]. B [1]. C [1].").used == [1, 3]
    assert grounded("A [3]. B [1]. C [2].").used == [3, 1, 2]


def test_a_misplaced_citation_counts_for_the_passage_with_the_items() -> None:
    assert grounded("It runs on ml.p3.2xlarge [3]. Then more [1].").used == [2, 1]
    assert grounded("Nothing is cited here.").used == []


CLAIM = "The kiln dries every board of wood slowly"
UNCITED = {
    f"{CLAIM}.": 1,
    f"{CLAIM} [1].": 0,
    f"{CLAIM}. [1]": 0,
    f"{CLAIM}.[1] {CLAIM}.[2]": 0,
    f"{CLAIM}. [1] {CLAIM}.": 1,
    f"{CLAIM}. {CLAIM}. [1]": 1,
    f"[1] {CLAIM}.\n\n[2] {CLAIM}.": 0,
    f"{CLAIM}?": 0,
    f"{CLAIM}:": 0,
    f"# {CLAIM}\n\n**{CLAIM}**\n\n---": 0,
    "It does. Use it so.": 0,
    "Set KmsKeyId.": 1,
    "The passages do not say how long a board of oak takes to dry.": 0,
    "How oak dries is not covered in the given documentation, as far as I see.": 0,
    "The documentation says that boards are not encrypted by a kiln.": 1,
    f"{CLAIM} as follows [1]:\n\n- {CLAIM}.\n- {CLAIM}.\n  - {CLAIM}.": 0,
    f"{CLAIM} as follows:\n\n- {CLAIM}.\n- {CLAIM} [1].\n  - {CLAIM}.\n": 1,
    f"{CLAIM} [1].\n\n1. {CLAIM}.\n2. {CLAIM}.": 2,
    f"As follows: [1]\n- {CLAIM}.\n\nAnd now {CLAIM}.": 1,
    f"- {CLAIM}. {CLAIM}. [1]\n": 1,
    f"| Kiln | What |\n|---|---|\n| A | {CLAIM} [1] |\n| B | {CLAIM} |\n": 1,
    f"- {CLAIM} [1].\n- {CLAIM}.\n": 1,
    f"| {CLAIM} | What |\n|---|---|\n| A | dry |\n": 0,
    f"```\n{CLAIM}.\n```\n\n{CLAIM} with `a.b. C`. [1]": 0,
    f"{CLAIM}.\r\n\r\n{CLAIM} [1].\r\n": 1,
    f"{CLAIM}, e.g. in the U.S. or in Peru [1].": 0,
    f"[1]: {CLAIM}.": 0,
}


@pytest.mark.parametrize(("text", "count"), UNCITED.items())
def test_claims_without_a_citation_are_counted(text: str, count: int) -> None:
    assert grounded(text).uncited_sentences == count


@pytest.mark.parametrize(
    ("prefix", "unit"),
    [
        *(("", unit) for unit in ("KilnBed [1] 99 `x`. ", "a", "1", "1,", "a_", "a.", "/a", "-")),
        *(("", unit) for unit in ('"', '"a ', "[", "<", " ", "*", "**a", "- \n", "\u200b")),
        *(("", unit) for unit in ("the passages ", "not in the ", "https://", "arn:")),
        ("`" + "a b" * 100, "`"),
        ("```\n", "x = '\""),
        ("```\n", "a-"),
    ],
)
def test_a_hostile_answer_takes_linear_time(prefix: str, unit: str) -> None:
    assert_linear_time(grounded, unit, prefix=prefix)


@pytest.mark.parametrize("unit", ["a_b", "1,", "[", "x15 ", "**"])
def test_a_hostile_passage_takes_linear_time(unit: str) -> None:
    answer = 'Set a_b to 15 with "b a" [1].'
    assert_linear_time(lambda text: ground(answer, [passage(text)]), unit)


def test_a_citation_after_every_word_adds_no_time() -> None:
    text = " ".join(f"The {n}th kiln burns `Wood{n}` for {n} hours." for n in range(300))
    passages = [passage(text) for _ in range(8)]
    answer = " ".join(f"aB{n} [1]" for n in range(600))
    with takes_less_than(5):
        ground(answer, passages)
