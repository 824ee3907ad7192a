"""Asks the Messages API for a story, with bounded patience.

Flow: `Storyteller.tell` -> up to `ATTEMPTS` requests within `DEADLINE` -> the answer read and checked -> `Story`.
An outcome that may pass (unreachable, silent, overloaded, a story without one of its paintings) is tried again; one that will not
(bad key, unknown model) is not. A failure is `StoryUnavailable` (try later) or `StoryFailed`; neither's text holds a secret.
"""

import logging
import time
from dataclasses import dataclass

import anthropic

from story_generation import prompt

log = logging.getLogger("plot_palette.story")

DEFAULT_MODEL = "claude-sonnet-5-5"
COUNTERPART_PREFIX = "local-counterpart"  # how the model's name begins when the counterpart wrote the story
ATTEMPTS = 3
DEADLINE = 50.0  # seconds for all attempts together
ATTEMPT_TIMEOUT = 40.0  # seconds for one
MAX_TOKENS = 1500


class StoryUnavailable(Exception):
    """The story service cannot be reached, or is too busy; later it may."""


class StoryFailed(Exception):
    """The story service answered, but not with a story."""


@dataclass(frozen=True)
class Story:
    title: str
    narrative: str
    model: str


def is_counterpart(model):
    return model.startswith(COUNTERPART_PREFIX)


class Storyteller:
    """Holds the client of one process; made on first use, so no connection crosses a fork."""

    def __init__(self, api_key, base_url=None, model=None):
        self._options = {"api_key": api_key, "base_url": base_url or None, "max_retries": 0}
        self._model, self._client = model or DEFAULT_MODEL, None

    @property
    def configured(self):
        return bool(self._options["api_key"])

    def tell(self, colors, paintings, emotion):
        """A `Story` that has all three titles in it. Raises `StoryUnavailable` or `StoryFailed`."""
        began = time.monotonic()
        content = prompt.facts(colors, paintings, emotion)
        titles = [painting["title"] for painting in paintings]
        for attempt in range(1, ATTEMPTS + 1):
            try:
                story, usage = self._ask(content, titles, DEADLINE - (time.monotonic() - began))
            except (StoryUnavailable, StoryFailed) as error:
                log.warning("story attempt %d of %d: %s", attempt, ATTEMPTS, error.__cause__ or error)
                pause = 0.4 * 2**attempt
                permanent = isinstance(error.__cause__, anthropic.APIStatusError) and isinstance(error, StoryFailed)
                if permanent or attempt == ATTEMPTS or time.monotonic() - began + pause > DEADLINE - 1:
                    raise
                time.sleep(pause)
            else:
                log.info(
                    "inference story ms=%.0f attempts=%d model=%s tokens=%d+%d",
                    *((time.monotonic() - began) * 1000, attempt, story.model, usage.input_tokens, usage.output_tokens),
                )
                return story

    def _ask(self, content, titles, left):
        try:
            if self._client is None:
                self._client = anthropic.Anthropic(**self._options)
            message = self._client.messages.create(
                model=self._model,
                max_tokens=MAX_TOKENS,
                system=prompt.SYSTEM,
                messages=[{"role": "user", "content": content}],
                timeout=anthropic.Timeout(min(ATTEMPT_TIMEOUT, left), connect=3.0),
            )
        except (anthropic.APIConnectionError, anthropic.RateLimitError, anthropic.InternalServerError) as error:
            raise StoryUnavailable("The story service cannot be reached or is busy. Please try again in a moment.") from error
        except anthropic.AnthropicError as error:
            raise StoryFailed("The story service refused the request.") from error
        if message.stop_reason != "end_turn":
            raise StoryFailed(f"The story was not finished ({message.stop_reason}).")
        try:
            title, narrative = prompt.read_answer("".join(block.text for block in message.content if block.type == "text"))
        except ValueError as error:
            raise StoryFailed("The story service did not answer with a story.") from error
        if prompt.missing_titles(narrative, titles):
            raise StoryFailed("The story left out one of the paintings.")
        return Story(title, narrative, message.model[:100]), message.usage
