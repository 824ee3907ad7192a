"""The sixty paintings of the gallery as data: title, artist, composition, colours by falling share. All invented.

`draw_paintings.py` paints them; the place in the list is the painting's id. Add at the end: ids are kept in people's stories.
"""

SHARES = (
    (0.40, 0.25, 0.20, 0.10, 0.05),
    (0.34, 0.26, 0.20, 0.12, 0.08),
    (0.30, 0.24, 0.20, 0.15, 0.11),
    (0.46, 0.22, 0.16, 0.10, 0.06),
    (0.28, 0.24, 0.20, 0.16, 0.12),
)

# title | artist | composition | colours
LINES = """
Harbour at First Light | Ilse Varga | mountains | 264653 2A9D8F E9C46A F4A261 E76F51
Night Market 🎨 | Teo Marchetti | dots | 1B1B3A 693668 F2545B A74482 FFD166
Crépuscule à quatre mains | Élodie Brassac | waves | 2D3047 93B7BE E0A458 E8DDB5 C84630
Überfahrt | Jörg Västra | brush | 0B3954 087E8B BFD7EA FF5A5F C81D25
The Cartographer's Garden | Maren Quill | contours | 606C38 FEFAE0 DDA15E 283618 BC6C25
Salt and Saffron | Ilse Varga | fields | F4E9CD E8A33D 468189 9DBEBB 031926
Five Doors in Tangier | Naïma Serrat | arches | C8553D F28F3B FFD5C2 588B8B 2D3047
Slow Comet | Okoro Bright | arcs | 14213D 1F4E79 E5E5E5 FCA311 8ECAE6
Paper Rain | Suki Hanabira | leaves | F7EDE2 84A59D F5CAC3 F28482 F6BD60
What the Orchard Knew | Maren Quill | leaves | 344E41 588157 A3B18A DAD7CD D62828
Quartet for Tiles | Teo Marchetti | tiles | EDF2F4 2B2D42 8D99AE EF233C D90429
Low Tide Letters | Jörg Västra | waves | 006D77 83C5BE EDF6F9 FFDDD2 E29578
The Baker's Window | Ada Lindqvist | tiles | FFF3B0 E09F3E 9E2A2B 335C67 540B0E
Kites over Åre 🪁 | Sölvi Hrafn | facets | CAF0F8 90E0EF 00B4D8 F9C74F EF476F
Ember Psalm | Okoro Bright | marble | 03071E 6A040F D00000 F48C06 FFBA08
Nine Thousand Lanterns | Suki Hanabira | dots | 10002B 3C096C 7B2CBF FF9E00 E0AAFF
North of Silence | Sölvi Hrafn | mountains | E0FBFC 98C1D9 3D5A80 293241 EE6C4D
The Unsent Postcard | Élodie Brassac | fields | FFCDB2 FFB4A2 E5989B B5838D 6D6875
Glasshouse | Maren Quill | glass | D8F3DC 95D5B2 52B788 2D6A4F F4A259
Copper Weather | Ada Lindqvist | brush | 582F0E 936639 B6AD90 414833 C2C5AA
A Choir of Umbrellas | Naïma Serrat | arches | 22223B 4A4E69 9A8C98 C9ADA7 F2E9E4
Cold Milk, Blue Bowl | Ada Lindqvist | arcs | F1FAEE A8DADC 457B9D 1D3557 E63946
The Fox's Errand | Maren Quill | facets | 3A2E39 F15152 E9B872 90A959 6494AA
Monsoon Ledger | Naïma Serrat | waves | 0D3B66 1C7293 9EB3C2 FAF0CA F4D35E
Juniper Hour | Jörg Västra | contours | 132A13 31572C 4F772D 90A955 ECF39E
Apricot Physics | Ilse Varga | arcs | FFE8D6 FFB570 DDBEA9 CB997E 6B705C
Second Winter | Sölvi Hrafn | mountains | EDEDE9 D6CCC2 A5A58D 6B705C 3F4238
Tin Roofs, Noon | Teo Marchetti | glass | D4A373 FAEDCD CCD5AE E9EDC9 BC4749
The Astronomer's Kitchen | Okoro Bright | tiles | 0A1128 001F54 1282A2 FEFCFB F7B801
Soft Machinery | Ada Lindqvist | facets | 5F0F40 9A031E FB8B24 E36414 0F4C5C
Meadow, Remembered | Élodie Brassac | brush | A7C957 6A994E F2E8CF 386641 BC4749
Tidal Clock | Jörg Västra | marble | 012A4A 01497C 2C7DA0 89C2D9 F6E7CB
The Lemon Thief | Teo Marchetti | dots | FFFBE6 FFE156 6A9F58 F4A900 2F4B26
Velvet Static | Suki Hanabira | marble | 2B061E 875053 CE4257 FF7F51 FFD6BA
Postscript in Teal | Élodie Brassac | fields | 0F5257 0B3142 9C92A3 C6B9CD D6D3F0
Pilgrim Dunes | Naïma Serrat | waves | E6B89C EAD2AC 9CAFB7 4281A4 FE938C
Bees in the Archive | Maren Quill | glass | F6AE2D 2F4858 33658A F26419 86BBD8
Quiet Riot | Okoro Bright | facets | 2E294E D90368 F1E9DA FFD400 541388
Moss Telegraph | Sölvi Hrafn | contours | 797D62 9B9B7A D9AE94 F1DCA7 997B66
The Swimmer's Proof | Ilse Varga | arcs | 05668D 028090 00A896 02C39A F0F3BD
Carnival, Packed Away | Teo Marchetti | tiles | F8F4E3 D4CDC3 A2A392 9A998C EE6352
Lilac Arithmetic | Suki Hanabira | leaves | E2CFEA A06CD5 6247AA 102B3F F7B2BD
Rooms for Swallows | Naïma Serrat | arches | F5EFED 92DCE5 2B303A D64933 7C7C7C
Iron Spring | Jörg Västra | brush | 353535 3C6E71 D9D9D9 284B63 E4572E
The Understudy | Élodie Brassac | glass | 463F3A 8A817C BCB8B1 F4F3EE E0AFA0
Pomegranate Weather | Naïma Serrat | marble | 800E13 AD2831 640D14 F3D5B5 38040E
Skating on Thursday | Sölvi Hrafn | waves | DDF3F5 A6DCEF F2AAAA E36387 355C7D
A Map of Small Hours | Okoro Bright | contours | 0B132B 1C2541 3A506B 5BC0BE FFF275
Picnic, Abandoned | Ada Lindqvist | tiles | 6D9DC5 F9F7F3 80CED7 FF6B6B 007EA7
Ochre Sonata | Ilse Varga | arches | CC8B3C F2D0A4 7A4419 545863 D7BE82
Waiting for the Ferry | Jörg Västra | mountains | F9DBBD FFA5AB DA627D A53860 450920
The Gardener's Alphabet | Maren Quill | leaves | E8F1D4 7FB069 1D7874 FFB627 E07A5F
Blue Hour Bakery | Teo Marchetti | dots | 1A2A4F 35518C F7A278 C5D3E8 FFF1D0
Echo, Folded | Suki Hanabira | facets | FAD4D8 F7A1C4 B8336A 726DA8 7D8CC4
Thunder Behind Glass | Okoro Bright | glass | 231F20 4E4C67 6C7D9E B4CDED F2C14E
Peat and Honey | Sölvi Hrafn | fields | 432818 99582A FFE6A7 BB9457 6F1D1B
Marginalia | Élodie Brassac | brush | F3E9DC C08552 5E3023 895737 DAB49D
The Long Exhale | Ada Lindqvist | arcs | B8D8D8 7A9E9F 4F6367 EEF5DB FE5F55
Mango Parade | Naïma Serrat | arches | FF9F1C FFBF69 FFFFFF CBF3F0 2EC4B6
Last Train, First Snow | Ilse Varga | mountains | 2F3E46 354F52 84A98C CAD2C5 FFB703
"""


def paintings():
    """Each painting as a dictionary: id, title, artist, composition, colors (hex and share)."""
    found = []
    for number, line in enumerate(LINES.strip().splitlines(), start=1):
        title, artist, composition, colors = (part.strip() for part in line.split("|"))
        shares = SHARES[(number - 1) % len(SHARES)]
        palette = [{"hex": f"#{color}", "share": share} for color, share in zip(colors.split(), shares, strict=True)]
        found.append({"id": number, "title": title, "artist": artist, "composition": composition, "colors": palette})
    return found
