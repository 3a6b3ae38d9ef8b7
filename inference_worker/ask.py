"""Asks from the terminal: python -m inference_worker.ask "question"."""

import argparse
import asyncio
import dataclasses
import json
import logging
import sys

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
        printed = asyncio.run(_ask(load_settings(), question, as_json=arguments.json))
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(printed + "\n")
    return 0


async def _ask(settings: Settings, question: str, *, as_json: bool) -> str:
    from database.retriever import retriever_from
    from inference_worker.answering import Answerer
    from inference_worker.mistral import mistral_from

    if not question:
        raise DocsQAError('The question is blank. Ask one: make ask Q="..."')
    retriever = retriever_from(settings)
    answerer = Answerer(
        retriever,
        mistral_from(settings),
        top_k=settings.top_k,
        max_docs=settings.max_docs,
    )
    try:
        answer = await answerer.answer(question)
    finally:
        await answerer.aclose()
        retriever.close()
    if as_json:
        return json.dumps(dataclasses.asdict(answer), indent=2)
    note = f"\n\n(Quoted from the passages: {answer.degraded_reason}.)" if answer.degraded else ""
    documents = "\n".join(f"  {name}" for name in answer.docs)
    return f"{answer.text}{note}\n\nRead next:\n{documents}"


if __name__ == "__main__":
    sys.exit(main())
