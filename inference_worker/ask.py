"""Asks from the terminal: python -m inference_worker.ask "question"."""

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

from inference_worker.answer import Answer, Event, Token
from utils.errors import DocsQAError
from utils.settings import Settings, load_settings


def main(argv: list[str] | None = None) -> int:
    """Print an answer and its documents; 1 with one line where there can be none."""
    parser = argparse.ArgumentParser(prog="python -m inference_worker.ask", description=__doc__)
    parser.add_argument("question", nargs="+", help="the question, in plain words")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    question = " ".join(arguments.question).strip()
    try:
        asyncio.run(_ask(load_settings(), question, as_json=arguments.json))
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _ask(settings: Settings, question: str, *, as_json: bool) -> None:
    from database.reading.reader import reader_from
    from inference_worker.answering.answerer import Answerer
    from inference_worker.generation.providers import language_model_from

    if not question:
        raise DocsQAError('The question is blank. Ask one: make ask Q="..."')
    reader = reader_from(settings)
    answerer = Answerer(reader, language_model_from(settings), settings)
    try:
        if as_json:
            answer = await answerer.answer(question)
            from inference_worker.http.schemas import AnswerResponse

            sys.stdout.write(AnswerResponse.of(answer).model_dump_json(indent=2) + "\n")
        else:
            await _print(answerer.events(question))
    finally:
        await answerer.aclose()
        reader.close()


async def _print(events: AsyncGenerator[Event, None]) -> None:
    """Print an answer as it arrives, then where it is from."""
    said = ""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Token):
                said += event.text
                sys.stdout.write(event.text)
                sys.stdout.flush()
            elif isinstance(event, Answer):
                sys.stdout.write(_after(event, said))


def _after(answer: Answer, said: str) -> str:
    """What is told after an answer's text."""
    parts = [""]
    if said.rstrip() != answer.text:
        parts.append(f"... (it broke off; from the passages:)\n\n{answer.text}")
    if answer.degraded:
        parts.append(f"(Quoted from the passages: {answer.degraded_reason}.)")
    if answer.grounding.unsupported:
        doubtful = ", ".join(dict.fromkeys(each.text for each in answer.grounding.unsupported))
        parts.append(f"In no passage, so do not rely on it: {doubtful}")
    cited = dict.fromkeys(each.number for each in answer.grounding.citations)
    chunks = {number: answer.passages[number - 1].chunk for number in sorted(cited)}
    if chunks:
        lines = [
            f"  [{number}] {each.breadcrumb}\n      {each.url or each.document}"
            for number, each in chunks.items()
        ]
        parts.append("\n".join(["Sources:", *lines]))
    parts.append("\n".join(["Read next:", *(f"  {name}" for name in answer.docs)]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main())
