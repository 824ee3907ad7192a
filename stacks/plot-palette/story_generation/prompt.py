"""What is asked of the model, and how its answer is read. Standard library only.

The facts travel as one JSON object between two tags: titles with quotes or emoji arrive unchanged, and the counterpart can read
them back (`facts_of`). Titles and artists come from our own catalogue; nothing that a visitor typed is part of a prompt.
"""

import json
import re
import unicodedata

OPEN, CLOSE = "<facts>", "</facts>"
TITLE_MAX = 200  # characters

SYSTEM = (
    "You write short stories for an art gallery's visitors. A visitor uploaded a picture; you get its palette, the three paintings "
    "the visitor chose, in order, and the emotion the story shall have. Write one story of 250 to 400 words in four to six "
    "paragraphs that walks through the three paintings in that order, lets the palette's colours appear by ordinary colour names, "
    "and carries the emotion without naming it in every paragraph. Mention each painting once or more by its exact title, "
    "character for character, with any emoji in it. Answer with the story's own title alone on the first line, an empty line, "
    "then the paragraphs parted by empty lines. No markup, no notes."
)


def facts(colors, paintings, emotion):
    """The user's message for five colours, three paintings (dictionaries of the catalogue) and an emotion."""
    content = {
        "palette": [{"hex": color["hex"], "share": color["share"]} for color in colors],
        "paintings": [{"title": painting["title"], "artist": painting["artist"]} for painting in paintings],
        "emotion": {"name": emotion.name, "description": emotion.description},
    }
    return f"{OPEN}\n{json.dumps(content, ensure_ascii=False, indent=1)}\n{CLOSE}\nWrite the story."


def facts_of(text):
    """The facts in a user's message. Raises `ValueError` when there are none."""
    found = re.search(re.escape(OPEN) + r"(.*)" + re.escape(CLOSE), text, re.DOTALL)
    if not found:
        raise ValueError(f"no {OPEN} in the message")
    content = json.loads(found.group(1))
    try:
        palette = [(str(color["hex"]), float(color["share"])) for color in content["palette"]]
        titles = [str(painting["title"]) for painting in content["paintings"]]
        emotion = str(content["emotion"]["name"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the facts are incomplete: {error!r}") from error
    if not palette or not titles or not all(re.fullmatch("#[0-9A-Fa-f]{6}", color) for color, _ in palette):
        raise ValueError("the facts need colours such as #2A9D8F and painting titles")
    return palette, titles, emotion


def read_answer(text):
    """Title and narrative of an answer. Raises `ValueError` when it has not both."""
    lines = text.strip().replace("\r\n", "\n").split("\n")
    title = re.sub(r"^(#+\s*|title:\s*)", "", lines[0].strip(), flags=re.IGNORECASE).strip(" *_\"“”")
    narrative = "\n".join(line.rstrip() for line in lines[1:]).strip()
    if not title or not narrative:
        raise ValueError("the answer has no title line or no story")
    return title[:TITLE_MAX], re.sub(r"\n{3,}", "\n\n", narrative)


def missing_titles(narrative, titles):
    """The titles that a narrative does not have; two ways to write one character are the same."""
    told = unicodedata.normalize("NFC", narrative)
    return [title for title in titles if unicodedata.normalize("NFC", title) not in told]
