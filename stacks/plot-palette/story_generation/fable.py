"""How the counterpart tells a story: from the request's palette, painting titles and emotion, and nothing else. Standard library only.

The same request gives the same story; another colour, title or emotion gives another one.
"""

import colorsys
import hashlib
import random

MOODS = {  # emotion: (how the day feels, what the visitor carries, what is left at the end)
    "Joy": ("loud with swallows", "a laugh she had not planned", "she ran the last steps home"),
    "Serenity": ("so still that clocks seemed rude", "nothing, and both hands were full of it", "the quiet came along and sat beside her"),
    "Wonder": ("newly unwrapped", "a question too large for her pockets", "the question had grown, and so had she"),
    "Hope": ("grey, with one bright seam", "a match in a closed fist", "the match was still dry"),
    "Love": ("warm on one side, like a cup", "a name she said only in thought", "somebody said her name back"),
    "Nostalgia": ("the colour of old letters", "a key to a house that was sold", "the key was warm, as if someone had used it"),
    "Melancholy": ("made of soft rain", "an umbrella she did not open", "the rain stopped, and she missed it"),
    "Longing": ("turned towards the sea", "half of a torn ticket", "she kept the ticket, and the window open"),
    "Courage": ("windy enough to turn back", "her heart, which would not keep quiet", "she found that she had not turned back"),
    "Curiosity": ("full of doors", "a bent hairpin and no shame", "there was one more door, and it was not locked"),
    "Mystery": ("wearing a veil", "a note in a hand she did not know", "the handwriting, she saw now, was her own"),
    "Solitude": ("empty in the friendliest way", "a single cup", "the single cup was exactly enough"),
    "Playfulness": ("up to something", "a pocket of chalk", "there was chalk on everything, and on her nose"),
    "Grief": ("too bright for what it was", "a coat that still smelled of someone", "she wore the coat, and it was heavy, and it was hers"),
    "Triumph": ("all uphill", "blisters and a flag", "the flag cracked in the wind like applause"),
}
ANY_MOOD = ("like no other", "a folded map", "the map had one more place on it")
OPENINGS = (
    "It was a day {day}, and Ilka went to the gallery with {carried}.",
    "Ilka came in from a morning that was {day}. She carried {carried}.",
    "On a day {day}, the gallery had one visitor: Ilka, who brought {carried}.",
)
STEPS = (
    "The first room was {c0}, more of it than of anything else: {s0} in every hundred steps. There hung “{t}”, and she stood before it "
    "until the {c1} in the corner began to move.",
    "In the second room somebody had left a chair in front of “{t}”. She sat down. The {c2} came forward and the {c1} stepped back, as "
    "people do who make room on a bench.",
    "The last room was narrow, and “{t}” filled it from wall to wall. Up close it was only {c3} and a little {c4}; from the door it was "
    "everything she had come for.",
)
BETWEEN = (
    "Between the rooms ran a corridor of {c4}, barely {s4} parts in a hundred, and yet it was what she would remember.",
    "A guard in a {c2} scarf nodded as if they had agreed on something long ago.",
    "Through a high window fell a stripe of {c3}, and she walked along it as along a wall, one foot before the other.",
)
CLOSINGS = (
    "When the bell rang for closing she went back through all three rooms: “{a}”, “{b}”, “{c}”, the other way round, like a sentence "
    "read to its beginning. Outside, {end}.",
    "“{a}”, she said on the stairs, “{b}”, “{c}”, as one counts one's keys. Nothing was missing. And {end}.",
)


def tell(palette, titles, emotion):
    """Title and narrative for `(hex, share)` pairs, painting titles and an emotion's name."""
    seed = hashlib.sha256(repr((palette, titles, emotion)).encode()).digest()
    dice = random.Random(seed)
    day, carried, end = MOODS.get(emotion, ANY_MOOD)
    colors = [palette[place % len(palette)] for place in range(5)]
    words = {f"c{place}": color_name(color) for place, (color, _) in enumerate(colors)}
    words |= {f"s{place}": max(1, round(share * 100)) for place, (_, share) in enumerate(colors)}
    steps = [STEPS[min(place, 2)].format(t=title, **words) for place, title in enumerate(titles)]
    steps.insert(1, dice.choice(BETWEEN).format(**words))
    hung = (list(reversed(titles)) * 3)[:3]
    closing = dice.choice(CLOSINGS).format(a=hung[0], b=hung[1], c=hung[2], end=end)
    opening = dice.choice(OPENINGS).format(day=day, carried=carried)
    title = dice.choice(("Three Rooms in {c}", "What the {c} Kept", "A Walk through {c}")).format(c=words["c0"].title())
    return f"{title}: {emotion}", "\n\n".join([opening, *steps, closing])


def color_name(hex_color):
    """An everyday name of a colour: “deep teal”, “pale sand”."""
    red, green, blue = (int(hex_color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, light, vivid = colorsys.rgb_to_hls(red, green, blue)
    if vivid < 0.12 or light < 0.06 or light > 0.96:
        return next(name for limit, name in ((0.15, "black"), (0.4, "slate"), (0.65, "grey"), (0.88, "silver"), (2, "white")) if light < limit)
    names = ((14, "red"), (32, "orange"), (50, "amber"), (66, "yellow"), (100, "lime"), (155, "green"), (190, "teal"), (225, "blue"))
    names += ((255, "indigo"), (290, "violet"), (330, "magenta"), (350, "rose"), (361, "red"))
    name = next(name for limit, name in names if hue * 360 < limit)
    if name in ("orange", "amber") and vivid < 0.45:
        name = "brown" if light < 0.5 else "sand"
    return ("deep " if light < 0.32 else "pale " if light > 0.76 else "") + name
