"""The fifteen emotions a story can have. Ids are what requests and rows hold; slugs name the illustrations' files."""

from dataclasses import dataclass
from urllib.parse import quote

FOLDER = "15 emotion illustrations"


@dataclass(frozen=True)
class Emotion:
    id: int
    slug: str
    name: str
    description: str

    @property
    def file_name(self):
        return f"{self.id:02d}-{self.slug}.png"

    @property
    def image_url(self):
        return f"/{quote(FOLDER)}/{self.file_name}"


_LIST = (
    ("joy", "the bright, unasked-for gladness of a day that goes right"),
    ("serenity", "stillness without emptiness, as on water at evening"),
    ("wonder", "the widening of the eyes before something new"),
    ("hope", "a small light kept burning for what may come"),
    ("love", "warmth that turns towards another"),
    ("nostalgia", "the sweetness of what was, seen through glass"),
    ("melancholy", "a soft sadness that does not want to be cured"),
    ("longing", "the pull of a place or a person out of reach"),
    ("courage", "going on with a beating heart"),
    ("curiosity", "the itch to open just one more door"),
    ("mystery", "something half hidden that looks back"),
    ("solitude", "being alone, and finding good company there"),
    ("playfulness", "lightness that bends the rules for fun"),
    ("grief", "love that has lost its place to go"),
    ("triumph", "the breath on the summit after the climb"),
)
EMOTIONS = tuple(Emotion(number, slug, slug.capitalize(), text) for number, (slug, text) in enumerate(_LIST, start=1))
BY_ID = {emotion.id: emotion for emotion in EMOTIONS}
