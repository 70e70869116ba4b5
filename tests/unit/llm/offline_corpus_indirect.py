"""Goals that are put in other words than their documents, and as orders rather than questions."""

from __future__ import annotations

INDIRECT_DOCUMENTS = {
    "Glacier hut": """\
The Hollandia hut stands at 3,240 metres on the Langgletscher. It has 74 beds and a winter room with eight.
The warden, Echo, is there from March to September. Guests reach the hut in five hours from Fafleralp;
crampons are required on the last stretch. Water must be melted from snow, so there are no showers. A night
costs 42 francs, half board 80.
""",
    "Incident 2291": """\
# Incident 2291: payments delayed

On 4 May at 09:12 payments stopped being processed. The cause was an expired certificate on the message
broker. The on-call engineer renewed it at 10:03, and the backlog of 18,400 payments was worked off by 10:40.

## Lessons

Certificates are now checked daily by a job that warns 30 days before expiry. The dashboard showed green the
whole time because it measured only the web tier. We added a probe that sends a test payment every minute.
""",
    "Tea": """\
All true teas come from the plant Camellia sinensis. Green tea is heated soon after picking, which stops the
enzymes; black tea is left to oxidise fully. Oolong lies between the two. White tea is made of young buds that
are merely withered and dried.

Green tea tastes bitter if brewed too hot: 70 to 80 degrees are enough. Black tea takes boiling water. Tea
contains caffeine and the calming amino acid theanine.
""",
    "Contract summary": """\
The contract between Norling AB and the city of Tavast runs for six years from 1 January 2025. Norling AB
maintains 112 bridges and inspects each of them twice a year. The city pays 2.4 million euros annually. Either
side may terminate with twelve months' notice. Disputes are settled by arbitration in Helsinki.
""",
}

INDIRECT_GOALS: list[tuple[str, tuple[str, ...] | None]] = [
    ("Please find out how high the Hollandia hut is located.", ("3,240",)),
    ("How many people can sleep in the Hollandia hut?", ("74 beds",)),
    ("Who looks after the hut?", ("Echo",)),
    ("Why was the outage not visible on the dashboard?", ("web tier",)),
    ("What is the difference between green tea and black tea?", ("oxidise",)),
    ("At what temperature should green tea be brewed?", ("70 to 80",)),
    ("Write a brief report on tea.", ("Camellia",)),
    ("According to the documents, how often are the bridges inspected?", ("twice a year",)),
    ("How much does the city pay Norling AB each year?", ("2.4 million",)),
    ("What notice period applies to the contract?", ("twelve months",)),
    ("When does the contract begin?", ("1 January 2025",)),
    ("Where are disputes settled?", ("Helsinki",)),
    ("Can I take a shower in the hut?", ("no showers",)),
    ("Which equipment do I need to reach the hut?", ("crampons",)),
    ("What does tea contain?", ("caffeine",)),
    ("What is the price of half board?", ("80",)),
    ("Who owns the hut?", None),
    ("What wine goes with fish?", None),
    ("How many bugs were fixed in version 7?", None),
    ("Describe the water cycle", None),
    ("What is the GDP of Finland?", None),
    ("Who is the CEO of Norling AB?", None),
    ("How do I make kombucha?", None),
    ("What year did the Titanic sink?", None),
    ("Please research the history of the bicycle.", None),
    ("How much does a kilo of coffee cost?", None),
    ("Which languages are spoken in Belgium?", None),
    ("Write a report about quantum computing.", None),
]
