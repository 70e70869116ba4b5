"""Documents on invented places, people named after myths, and goals: what must be quoted, or None for nothing."""

from __future__ import annotations

DOCUMENTS = {
    "The Skerrow light": """# The Skerrow light

The lighthouse on Skerrow rock was completed in 1868 after four summers of work. It was designed by the engineer
Daedalus, who had never built at sea before. The tower rises 31 metres above the rock and is made of dovetailed
granite blocks.

Its lamp first burned rape oil. In 1923 the keepers changed to paraffin vapour, and since 1987 the light has been
automatic. The beam can be seen for 18 nautical miles in clear weather.

## Keepers

Three keepers lived on the rock for six weeks at a time. They were relieved by the tender *Pharos Lass*, weather
permitting. In the winter of 1901 the relief could not land for 54 days, and the keepers ate limpets.
""",
    "Caring for sourdough": """# Caring for a sourdough starter

A starter is a culture of wild yeast and lactic acid bacteria in flour and water. Feed it once a day with equal weights
of flour and water if it stands at room temperature. In a refrigerator once a week is enough.

A healthy starter doubles within six hours of a feeding. If it smells of nail varnish, it is hungry: feed it more often.
Grey liquid on top is called hooch and can be stirred in. Pink or orange streaks are a sign of spoilage, and the starter
must be thrown away.

Bake the loaf at 240 degrees for 20 minutes with steam, then at 210 degrees for 25 minutes without. Steam keeps the
crust soft at first, so that the bread can rise.
""",
    "Harbour tariff": """HARBOUR TARIFF OF PORT ELLAND

Boats up to 8 metres pay 14 euros per night. Boats between 8 and 12 metres pay 22 euros per night. Larger vessels
are charged by agreement with the harbour master, Nausicaa.

- Electricity costs 3 euros per day.
- Showers are free for berth holders.
- Dogs must be kept on a lead on all pontoons.

The fuel dock is open from 7 am to 6 pm between April and October. Payment is possible by card only. The slipway is
closed on Sundays.
""",
    "Honeybees": """# Honeybees

Honeybees tell each other where to find flowers with the waggle dance. The angle of the dance shows the direction
relative to the sun, and its duration shows the distance. Karl von Frisch decoded the dance and received a Nobel Prize
for it in 1973.

A colony has one queen, some hundreds of drones and up to 60,000 workers in summer. Workers live about six weeks in
summer, but those that hatch in autumn survive for several months. The queen can lay 2,000 eggs a day.

Varroa mites weaken colonies because they feed on the larvae and spread viruses. Beekeepers fight them with formic acid
after the honey harvest.
""",
    "Release process": """# How we release

Every change needs one review before it is merged. We release on Tuesdays, because problems then show up while everyone
is at work. A release is cut from the main branch by running `make release`, which builds the packages, signs them and
uploads them.

If a release is broken, roll back with `make rollback` and write an incident report within two days. Database migrations
must work with the previous version of the code, since both run side by side for some minutes during a deploy.

Hotfixes may be released on any day, but two people have to be online.
""",
    "Tram line 4": """# Tram line 4

Line 4 runs from Castle Square to the Botanical Garden in 26 minutes. Trams leave every 8 minutes on weekdays and every
15 minutes at weekends. The last tram leaves Castle Square at 00:40.

The line was opened on 3 May 1911 and electrified from the beginning. It was extended to the Botanical Garden in 1954.
Tickets must be bought before boarding; the fine for travelling without a ticket is 60 crowns.
""",
    "Turmbericht": """# Der Stadtturm von Lindach

Der Stadtturm wurde im Jahr 1478 gebaut und ist 47 Meter hoch. Seine Glocke wiegt zwei Tonnen und läutet jeden Mittag.
Besucher erreichen die Plattform über 212 Stufen. Der Eintritt kostet drei Euro.
""",
    "Retention policy": """# Data retention

Access logs are kept for 30 days and then deleted automatically. Backups are encrypted with a key that only two
administrators hold, and are stored in another city. Invoices must be kept for ten years, as the tax law demands.

A customer may ask for a copy of all personal data. The request has to be answered within one month. Accounts that were
not used for three years are closed after two warnings by e-mail.
""",
}

GOALS: list[tuple[str, tuple[str, ...] | None]] = [
    ("How tall is the Skerrow lighthouse?", ("31 metres",)),
    ("Who designed the lighthouse on Skerrow?", ("Daedalus",)),
    ("When was the Skerrow light completed?", ("1868",)),
    ("What is the tower made of?", ("granite",)),
    ("Since when has the light been automatic?", ("1987",)),
    ("From how far away can the beam be seen?", ("18 nautical miles",)),
    ("What did the keepers eat when the relief could not land?", ("limpets",)),
    ("How many keepers lived on the rock, and how long did they stay?", ("Three keepers",)),
    ("How often should I feed a sourdough starter at room temperature?", ("once a day",)),
    ("What does it mean if my starter smells of nail varnish?", ("hungry",)),
    ("What is hooch?", ("Grey liquid",)),
    ("At what temperature should the loaf be baked?", ("240 degrees",)),
    ("Why is steam used when baking bread?", ("crust soft",)),
    ("What do pink streaks in a starter mean?", ("spoilage",)),
    ("How much do boats between 8 and 12 metres pay?", ("22 euros",)),
    ("What do boats up to 8 metres pay per night?", ("14 euros",)),
    ("Who is the harbour master?", ("Nausicaa",)),
    ("How much is electricity per day in the harbour?", ("3 euros",)),
    ("When is the fuel dock open?", ("7 am to 6 pm",)),
    ("Can I pay in cash at the fuel dock?", ("by card only",)),
    ("Is the slipway open on Sundays?", ("closed on Sundays",)),
    ("How do honeybees tell each other where flowers are?", ("waggle dance",)),
    ("Who decoded the waggle dance?", ("Karl von Frisch",)),
    ("What does the angle of the dance show?", ("direction",)),
    ("How many eggs can a queen lay in a day?", ("2,000 eggs",)),
    ("How many workers does a colony have in summer?", ("60,000",)),
    ("Why are varroa mites dangerous to colonies?", ("larvae",)),
    ("How do beekeepers fight varroa?", ("formic acid",)),
    ("On which day do we release?", ("Tuesdays",)),
    ("How do I roll back a broken release?", ("make rollback",)),
    ("Why must migrations work with the previous version of the code?", ("side by side",)),
    ("How many reviews does a change need?", ("one review",)),
    ("When can hotfixes be released?", ("any day",)),
    ("How often do trams on line 4 run at weekends?", ("15 minutes",)),
    ("When does the last tram leave Castle Square?", ("00:40",)),
    ("What is the fine for travelling without a ticket?", ("60 crowns",)),
    ("In what year was tram line 4 extended to the Botanical Garden?", ("1954",)),
    ("Wie hoch ist der Stadtturm von Lindach?", ("47 Meter",)),
    ("Wann wurde der Stadtturm gebaut?", ("1478",)),
    ("How long are access logs kept?", ("30 days",)),
    ("Where are the backups stored?", ("another city",)),
    ("How long must invoices be kept and why?", ("ten years",)),
    ("Within what time must a data request by a customer be answered?", ("one month",)),
    ("When was tram line 4 opened, and who was the engineer of the Skerrow light?", ("3 May 1911", "Daedalus")),
    ("Explain how the waggle dance works", ("angle of the dance",)),
    ("Summarise the document about data retention", ("Access logs",)),
    ("List what it costs to stay in the harbour", ("euros",)),
    ("Compare the life of summer workers with the queen", ("eggs",)),
    ("What happens to accounts that nobody uses?", ("closed after two warnings",)),
    ("I am preparing a talk on the Skerrow lighthouse. Which fuel did the lamp burn at first?", ("rape oil",)),
    ("Tell me about the lamp's history", ("rape oil",)),
    ("how heavy is the bell of the Stadtturm", None),
    # Off topic altogether.
    ("What is the capital of Peru?", None),
    ("How many moons does Jupiter have?", None),
    ("Who won the football world cup in 2018?", None),
    ("What is the boiling point of mercury?", None),
    ("How do I configure a firewall on Debian?", None),
    ("Explain the theory of relativity", None),
    ("Which vitamins are in carrots?", None),
    ("Who wrote The Magic Mountain?", None),
    ("What is the exchange rate of the yen?", None),
    ("How does photosynthesis work?", None),
    ("What are the symptoms of measles?", None),
    ("Summarise the document about kubernetes", None),
    ("Wie heißt die Hauptstadt von Australien?", None),
    ("When did the Berlin Wall fall?", None),
    ("Describe the life cycle of a salmon", None),
    ("What is the population of Iceland?", None),
    # Near the topics of the documents, but not in them.
    ("How tall is the Eiffel Tower?", None),
    ("Who is the mayor of Port Elland?", None),
    ("What is the top speed of the trams on line 4?", None),
    ("How much honey does a colony produce per year?", None),
    ("What salary did the lighthouse keepers earn?", None),
    ("How much salt goes into a sourdough loaf?", None),
    ("How long does a bumblebee queen hibernate?", None),
    ("When was tram line 7 opened?", None),
    ("What is the wifi password of the harbour?", None),
    ("Who painted the lighthouse?", None),
    ("Which programming language is the release script written in?", None),
    ("How many passengers use the tram every day?", None),
]
