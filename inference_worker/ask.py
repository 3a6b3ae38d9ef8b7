"""Asks a question from the terminal: python -m inference_worker.ask "question"."""

from utils.interrupts import exit_quietly, handle_exit_signals

if __name__ == "__main__":
    handle_exit_signals(exit_quietly)

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from inference_worker.answer import Answer, Events, PassagesFound, Token
from inference_worker.grounding.visible_text import visible
from utils.errors import DocsQAError
from utils.settings import load_settings

if TYPE_CHECKING:
    from database.reading.reader import Reader
    from inference_worker.answering.answerer import Answerer
    from inference_worker.generation.ollama_model import OllamaModel


def main(argv: list[str] | None = None) -> int:
    """Print an answer and its documents; 1, with one line of explanation, if there is none."""
    parser = argparse.ArgumentParser(prog="python -m inference_worker.ask", description=__doc__)
    parser.add_argument("question", nargs="+", help="the question, in plain words")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    question = " ".join(arguments.question).strip()
    if not question:
        sys.stderr.write('The question is blank. Ask one: make ask Q="..."\n')
        return 1
    try:
        settings = load_settings()
        from database.reading.reader import reader_from
        from inference_worker.answering.answerer import Answerer
        from inference_worker.generation.ollama_model import ollama_model_from
        from inference_worker.generation.providers import language_model_from

        reader = reader_from(settings)
        llm = language_model_from(settings)
        ollama = ollama_model_from(llm, settings)
        answerer = Answerer(reader, llm, settings)
        # From here on there is something to close: Ctrl-C cancels the answer.
        if signal.getsignal(signal.SIGINT) == exit_quietly:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        asyncio.run(_ask(answerer, reader, ollama, question, as_json=arguments.json))
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _ask(
    answerer: "Answerer",
    reader: "Reader",
    ollama: "OllamaModel | None",
    question: str,
    *,
    as_json: bool,
) -> None:
    try:
        if ollama:
            await ollama.check()
        if as_json:
            answer = await answerer.answer(question)
            from inference_worker.http.schemas import AnswerResponse

            sys.stdout.write(AnswerResponse.of(answer).model_dump_json(indent=2) + "\n")
        else:
            await _print(answerer.events(question))
    finally:
        await answerer.aclose()
        reader.close()


async def _print(events: Events) -> None:
    """Print an answer's text as it arrives, then its notes and documents."""
    printed, titles = "", dict[str, str]()
    async with aclosing(events):
        async for event in events:
            if isinstance(event, PassagesFound):
                titles |= {
                    each.chunk.document: each.chunk.title for each in event.findings.passages
                }
            elif isinstance(event, Token):
                printed += event.text
                sys.stdout.write(event.text)
                sys.stdout.flush()
            else:
                read_next = dict.fromkeys(titles[name] for name in event.docs)
                sys.stdout.write(_notes(event, printed, read_next))


def _notes(answer: Answer, printed: str, read_next: Iterable[str]) -> str:
    """The text to print after an answer, of which `printed` was streamed."""
    parts = [""]
    if printed.rstrip() != answer.text:
        parts.append(f"... (the answer was cut off; from the passages:)\n\n{answer.text}")
    if answer.finish_reason != "stop":
        cause = "at its token limit" if answer.truncated else "by the model's content filter"
        parts.append(f"(The answer was cut off {cause}.)")
    if doubtful := answer.grounding.doubtful:
        texts = ", ".join(dict.fromkeys(each.text for each in doubtful))
        parts.append(f"In no passage, so do not rely on it: {texts}")
    cited = sorted({each.number for each in answer.grounding.citations})
    if cited and not answer.is_quoted:
        lines = []
        for number in cited:
            chunk = answer.passages[number - 1].chunk
            lines.append(
                f"  [{number}] {visible(chunk.breadcrumb)}"
                + (f"\n      {visible(chunk.url)}" if chunk.url else "")
            )
        parts.append("\n".join(["Sources:", *lines]))
    if answer.docs:
        parts.append("\n".join(["Read next:", *(f"  {visible(title)}" for title in read_next)]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
