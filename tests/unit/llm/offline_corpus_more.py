"""More documents and goals, in other styles: notes, a manual, an encyclopaedia, rules."""

from __future__ import annotations

PLAIN_DOCUMENTS = {
    "Proserpina": """\
Proserpina (12 February 1887 – 3 July 1961) was a Swedish botanist and illustrator. She studied at Uppsala
and later taught at the school of forestry in Garpenberg. Her field guide to the mosses of Dalarna, printed in
1922, sold 40,000 copies and stayed in print for three decades.

Proserpina described 17 new species of moss. She refused a professorship in 1930 because it would have kept her
from the forest. Her herbarium of 9,300 sheets is now in the museum at Falun.

She married the surveyor Pluto in 1914. They had two daughters, one of whom, Aurora, became a
glaciologist.
""",
    "Battery handbook": """\
Charging
The pack must be charged between 5 and 40 degrees Celsius. Charging below freezing plates lithium on the anode
and ruins the cells for good.

A full charge takes four hours with the standard charger, or 75 minutes with the fast charger. Do not leave a
full pack on the charger for more than a week.

Storage
Store the pack at about half charge in a dry place. It loses roughly 3 percent of its charge per month. Check
it every three months.

Safety
If a cell swells, stop using the pack at once and take it to a collection point. Never pour water on burning
lithium cells; use sand or a class D extinguisher.

Warranty
The warranty covers two years or 500 cycles, whichever comes first. Damage by dropping is not covered.
""",
    "Q3 meeting notes": """\
# Meeting 14 September

Present: Danae, Jason, Medea, Orpheus (remote)

## Decisions
- We move the customer portal to the new data centre in November.
- Jason leads the migration; Medea prepares the rollback plan.
- The budget is capped at 85,000 euros.

## Open points
- The contract with the old provider ends on 31 December and cannot be extended.
- Orpheus asks whether the mail gateway should move at the same time. No decision yet.
- Training for the support team: two half-days, date to be found by Danae.
""",
    "Lake Orrin": """\
Lake Orrin lies in a valley that a glacier carved about 12,000 years ago. With a depth of 187 metres it is the
deepest lake of the region. Its surface covers 23 square kilometres, and it never freezes entirely, since warm
springs enter it from the eastern shore.

The lake is home to a landlocked form of char, which anglers may catch only between June and September. Motor
boats have been banned since 1979. A ferry powered by electricity crosses the lake five times a day.

In 1936 a dam was planned at the outlet. The plan was dropped after farmers from three villages occupied the
site for eleven weeks.
""",
    "How caching works here": """\
The API caches responses in memory for 30 seconds. A response is cached only if the request carries no
authorization header, because answers that belong to one user must never reach another.

Invalidation is done by tags: when a product changes, all responses tagged with its id are dropped. We chose
tags over short lifetimes since stale prices led to complaints.

The cache is limited to 512 MB per process. When it is full, the entries used least recently are evicted. Hit
rates are exported as a metric named cache_hits_total.

If the cache misbehaves, set CACHE_DISABLED=1 and restart the service. Responses then take about 200 ms
longer.
""",
    "Choir rules": """\
Rehearsals take place every Thursday at 19:30 in the parish hall. Members pay 12 pounds a month; students sing
for free.

Whoever misses three rehearsals before a concert does not sing in that concert. Scores belong to the choir and
must be returned after the season. The conductor, Apollo, decides about the programme together with
the committee.

New singers are welcome in January and September after a short audition.
""",
}

PLAIN_GOALS: list[tuple[str, tuple[str, ...] | None]] = [
    ("When was Proserpina born?", ("1887",)),
    ("What did Proserpina study or work on?", ("botanist",)),
    ("How many copies did her field guide sell?", ("40,000",)),
    ("Why did Proserpina refuse a professorship?", ("kept her from the forest",)),
    ("Who was Proserpina's husband?", ("Pluto",)),
    ("Where is the herbarium today?", ("Falun",)),
    ("How many children did Proserpina have?", ("two daughters",)),
    ("What became of Aurora?", ("glaciologist",)),
    ("At which temperatures may the battery pack be charged?", ("5 and 40",)),
    ("What happens if I charge the pack below freezing?", ("ruins",)),
    ("How long does a full charge take with the fast charger?", ("75 minutes",)),
    ("How should I store the battery?", ("half charge",)),
    ("What should I do when a cell is swollen?", ("stop using",)),
    ("Can I extinguish burning lithium cells with water?", ("Never pour water",)),
    ("How long is the warranty?", ("two years",)),
    ("Is damage from a fall covered by the warranty?", ("dropping",)),
    ("How much charge does the pack lose per month?", ("3 percent",)),
    ("How many hours are in a fortnight?", None),
    ("Who leads the migration?", ("Jason",)),
    ("What is the budget?", ("85,000",)),
    ("When does the contract with the old provider end?", ("31 December",)),
    ("When will the customer portal be moved to the new data centre?", ("November",)),
    ("Who prepares the rollback plan?", ("Medea",)),
    ("How deep is Lake Orrin?", ("187 metres",)),
    ("Why does Lake Orrin never freeze over completely?", ("warm springs",)),
    ("When may anglers catch char?", ("June and September",)),
    ("Since when are motor boats forbidden on the lake?", ("1979",)),
    ("How was the valley of Lake Orrin formed?", ("glacier",)),
    ("How often does the ferry cross the lake?", ("five times a day",)),
    ("For how long does the API cache responses?", ("30 seconds",)),
    ("Which responses are not cached?", ("authorization",)),
    ("How is the cache invalidated?", ("tags",)),
    ("What happens when the cache is full?", ("evicted",)),
    ("How do I turn off the cache?", ("CACHE_DISABLED=1",)),
    ("Which metric shows the hit rate?", ("cache_hits_total",)),
    ("On what day does the choir rehearse?", ("Thursday",)),
    ("How much is the membership fee of the choir?", ("12 pounds",)),
    ("What happens if a singer misses three rehearsals?", ("does not sing",)),
    ("Who is the conductor?", ("Apollo",)),
    ("When can new singers join?", ("January and September",)),
    ("Summarise the notes of the meeting in September", ("85,000",)),
    ("Give me an overview of Lake Orrin", ("Orrin",)),
    ("What are the safety instructions for the battery?", ("swells",)),
    ("How big is the lake, and how old is its valley?", ("23 square", "12,000")),
    ("Find out where the herbarium is and who prepares the rollback plan.", ("Falun", "Medea")),
    ("When did Proserpina win the Nobel Prize?", None),
    ("What was the name of Proserpina's dog?", None),
    ("How much does the battery pack weigh?", None),
    ("What colour is the battery pack?", None),
    ("Who is the chief executive of the company?", None),
    ("What is the phone number of the data centre?", None),
    ("How many people live around Lake Orrin?", None),
    ("Which fish species other than char live in the Baltic Sea?", None),
    ("What database does the API use?", None),
    ("Who composed the anthem sung at the concert?", None),
    ("How do I renew a passport?", None),
    ("What is the speed of light?", None),
    ("Explain how vaccines work", None),
    ("Who was the first person on the moon?", None),
    ("What time does the supermarket close?", None),
    ("List the ingredients of a carbonara", None),
    ("What causes earthquakes?", None),
    ("When was the University of Bologna founded?", None),
    ("How do I prune apple trees?", None),
    ("Which team won the cricket final?", None),
    ("Summarise what our documents say about insurance", None),
    ("What is the meaning of the word serendipity?", None),
    ("What is the longest river in Africa?", None),
    ("Is there life on Mars?", None),
]

MORE_DOCUMENTS = {
    "Olive oil pressing": """\
Olives for oil are picked from October onwards. The fruit should reach the mill within 24 hours, otherwise it
begins to ferment. At the mill of Torre Alta the olives are washed, crushed with hammers and kneaded for 30
minutes at no more than 27 degrees.

A centrifuge then separates the oil from water and pulp. About five kilograms of olives yield one litre of
oil. Extra virgin oil must have less than 0.8 percent free acidity.

The mill was founded by the Saturn family in 1892. Today Ceres runs it together with her brother. Pulp
left over from pressing is dried and heats the farmhouse.
""",
    "Expense rules": """\
Employees book trains in second class for journeys under three hours. Flights need the approval of the head of
department. Hotels may cost up to 130 euros a night, breakfast included.

Receipts must be handed in within 30 days of the trip. Without a receipt, nothing is refunded. Meals are paid
as a flat rate of 28 euros per day; alcohol is never refunded.

Questions go to travel@example.org or to Hestia in accounting.
""",
    "Comet Urania": """\
Comet Urania was discovered on 9 August 2011 by the amateur astronomer Urania from her garden in
Galway. It circles the sun once every 84 years. Its nucleus measures about six kilometres and is darker than
coal.

The comet came closest to the sun in May 2012, when its tail was visible to the naked eye for three weeks. A
probe named Tern flew past it at a distance of 400 kilometres and found amino acids in the dust.

The next return is expected in 2096.
""",
    "Router manual": """\
The router is set up with the app or in a browser at 192.168.8.1. The first password is printed on the bottom
of the device and has to be changed at the first login.

LED colours
A steady green light means that the connection is fine. A blinking orange light means that an update is being
installed; do not unplug the router then. Red means no connection to the provider.

To reset the router, press the button on the back with a paper clip for ten seconds. All settings are lost.

The guest network is switched off by default. It can be limited in speed and in time.
""",
    "The siege of Vardholm": """\
The siege of Vardholm lasted from March to November 1644. The fortress was defended by 800 men under Colonel
Hector, against an army of 5,000. Hunger and typhus killed more defenders than the cannons did.

Hector surrendered after the well had run dry. The attackers let the garrison leave with its flags. Five years
later the fortress was razed, and its stones were used to build the harbour of Nyborg.

A novel by Homer, The Dry Well, tells the story from the view of a cook.
""",
}

MORE_GOALS: list[tuple[str, tuple[str, ...] | None]] = [
    ("How soon must olives be brought to the mill?", ("24 hours",)),
    ("How many kilos of olives are needed for a litre of oil?", ("five kilograms",)),
    ("Who manages the mill at Torre Alta now?", ("Ceres",)),
    ("What is done with the leftover pulp?", ("heats the farmhouse",)),
    ("What acidity may extra virgin oil have?", ("0.8 percent",)),
    ("When are olives harvested?", ("October",)),
    ("Who founded the mill and when?", ("Saturn family",)),
    ("What is the maximum price of a hotel night?", ("130 euros",)),
    ("Who has to approve flights?", ("head of department",)),
    ("Is alcohol refunded?", ("alcohol is never refunded",)),
    ("By when do I have to hand in my receipts?", ("30 days",)),
    ("Whom can I ask about travel expenses?", ("Hestia",)),
    ("Who discovered Comet Urania?", ("Urania",)),
    ("How long does the comet take to go around the sun?", ("84 years",)),
    ("When will the comet come back?", ("2096",)),
    ("What did the probe Tern find?", ("amino acids",)),
    ("How large is the nucleus of the comet?", ("six kilometres",)),
    ("What does a blinking orange light on the router mean?", ("update",)),
    ("How do I reset the router?", ("paper clip",)),
    ("Where can I find the router's initial password?", ("printed on the bottom",)),
    ("Is the guest network enabled by default?", ("switched off",)),
    ("How long did the siege of Vardholm last?", ("March to November",)),
    ("Who commanded the fortress?", ("Hector",)),
    ("Why did Hector surrender?", ("run dry",)),
    ("What happened to the fortress afterwards?", ("razed",)),
    ("Who wrote The Dry Well?", ("Homer",)),
    ("How many men defended the fortress?", ("800",)),
    ("What killed most of the defenders?", ("typhus",)),
    ("Write a short summary of the siege of Vardholm.", ("siege",)),
    ("Give me the key facts about Comet Urania: who discovered it, and when does it return?", ("Urania", "2096")),
    ("What is the phone number of accounting?", None),
    ("How much does a bottle of the oil cost?", None),
    ("What is the mass of Comet Urania?", None),
    ("Which wifi standard does the router support?", None),
    ("Who was the king during the siege?", None),
    ("How far is Galway from Dublin?", None),
    ("When was penicillin discovered?", None),
    ("What is the recipe for pesto?", None),
    ("How do I reset my Windows password?", None),
    ("Who commanded the fleet at Trafalgar?", None),
    ("How old is the universe?", None),
    ("What are the rules of chess?", None),
    ("Explain the causes of the French Revolution", None),
    ("Which comet hit Jupiter in 1994?", None),
    ("How many employees does the company have?", None),
    ("What is the weather in Oslo tomorrow?", None),
    ("Who runs the marathon world record?", None),
    ("How does a diesel engine work?", None),
    ("What is the salary of the head of department?", None),
    ("How tall is Mount Everest?", None),
]
