"""Tests of what needs no database: palettes, recommendations, and the story's way through the real counterpart.

`python3 tools/test_backend.py` with the packages of `requirements-prod.txt`. The whole application is tested by the stack's e2e.
"""

import io
import json
import os
import sys
import tempfile
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

import recommendation_service_embedded as ml  # noqa: E402
from story_generation import client, counterpart, prompt  # noqa: E402
from story_generation.emotions import BY_ID, EMOTIONS  # noqa: E402

BANDS = (("#264653", 40), ("#2A9D8F", 25), ("#E9C46A", 20), ("#F4A261", 10), ("#E76F51", 5))


def bands(kind, **options):
    image, x, out = Image.new("RGB", (100, 100)), 0, io.BytesIO()
    for color, width in BANDS:
        image.paste(color, (x, 0, x + width, 100))
        x += width
    image.save(out, kind, **options)
    return out.getvalue()


class Palettes(unittest.TestCase):
    def test_flat_bands_are_found_exactly(self):
        found = ml.extract_palette(ml.read_picture(bands("PNG")).pixels)
        self.assertEqual(found, [{"hex": color, "share": width / 100} for color, width in BANDS])

    def test_jpeg_stays_within_four(self):
        for color, (wanted, _) in zip(ml.extract_palette(ml.read_picture(bands("JPEG", quality=90)).pixels), BANDS, strict=True):
            for at in (1, 3, 5):
                self.assertLessEqual(abs(int(color["hex"][at : at + 2], 16) - int(wanted[at : at + 2], 16)), 4)

    def test_one_color_is_five_entries(self):
        out = io.BytesIO()
        Image.new("RGBA", (3, 900), (0, 0, 0, 0)).save(out, "PNG")
        found = ml.extract_palette(ml.read_picture(out.getvalue()).pixels)
        self.assertEqual([color["share"] for color in found], [1, 0, 0, 0, 0])
        self.assertEqual(found[0]["hex"], "#FFFFFF")

    def test_what_is_no_picture_is_refused(self):
        png = bands("PNG")
        for data in (b"<?php echo 1;", b"\x89PNG\r\n\x1a\n<?php", b"GIF89a<script>", png[:200], b"<svg/>", b""):
            self.assertRaises(ml.UnsupportedImage, ml.read_picture, data)

    def test_a_bomb_is_refused_before_it_is_decoded(self):
        out = io.BytesIO()
        Image.new("1", (9000, 9000)).save(out, "PNG")
        self.assertRaises(ml.TooManyPixels, ml.read_picture, out.getvalue())


class Recommendations(unittest.TestCase):
    def test_every_painting_finds_itself_first(self):
        service = ml.RecommendationService(ROOT / "image" / "catalogue.json")
        entries = json.loads((ROOT / "image" / "catalogue.json").read_text("utf-8"))
        self.assertEqual(len(entries), 60)
        for entry in entries:
            picture = ml.read_picture((ROOT / "image" / entry["file"]).read_bytes())
            ranked = service.recommend(ml.extract_palette(picture.pixels))
            self.assertEqual(ranked[0][0], entry["id"])
            self.assertEqual([score for _, score in ranked], sorted((score for _, score in ranked), reverse=True))

    def test_lab_of_known_colors(self):
        for color, wanted in (("#FFFFFF", (100, 0, 0)), ("#FF0000", (53.24, 80.09, 67.20)), ("#000000", (0, 0, 0))):
            for got, value in zip(ml.lab([color])[0], wanted, strict=True):
                self.assertAlmostEqual(got, value, delta=0.05)


class Stories(unittest.TestCase):
    colors = [{"hex": color, "share": width / 100} for color, width in BANDS]
    paintings = [{"title": title, "artist": "Somebody"} for title in ("Night Market 🎨", "A “quoted” {title}", "Überfahrt")]

    def setUp(self):
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self.log = Path(file.name)
        self.addCleanup(self.log.unlink)

    def serve(self, limit=None):
        server = counterpart.Server(("127.0.0.1", 0), str(self.log), limit)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        self.addCleanup(server.out.close)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return client.Storyteller("a-secret-key", f"http://127.0.0.1:{server.server_port}")

    def test_a_story_has_its_titles_and_says_who_wrote_it(self):
        teller = self.serve()
        for emotion in EMOTIONS:
            story = teller.tell(self.colors, self.paintings, emotion)
            self.assertEqual(prompt.missing_titles(story.narrative, [painting["title"] for painting in self.paintings]), [])
            self.assertTrue(client.is_counterpart(story.model))
        text = self.log.read_text("utf-8")
        self.assertEqual(len(text.splitlines()), len(EMOTIONS))
        self.assertIn("#2A9D8F", text)
        self.assertNotIn("a-secret-key", text)

    def test_too_many_requests_are_unavailable(self):
        self.assertRaises(client.StoryUnavailable, self.serve(limit=0).tell, self.colors, self.paintings, BY_ID[7])
        self.assertEqual(len(self.log.read_text("utf-8").splitlines()), client.ATTEMPTS)

    def test_nobody_there_is_unavailable(self):
        teller = client.Storyteller("a-secret-key", "http://127.0.0.1:1")
        self.assertRaises(client.StoryUnavailable, teller.tell, self.colors, self.paintings, BY_ID[7])


if __name__ == "__main__":
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    unittest.main()
