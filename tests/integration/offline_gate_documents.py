"""Ten everyday documents for the offline model's gate: subjects far from software, each with near misses of others.

Some are wrapped at the margin, as people paste mails and print-outs; the others have one line per paragraph.
"""

from __future__ import annotations

import re


def _unwrapped(text: str) -> str:
    """Give the text with one line per paragraph."""
    return re.sub(r"(?<!\n)\n(?!\n|-|#)", " ", text)


LIGHTHOUSE = """# Skarnholm Light: maintenance log, first quarter

7 January. Wiped salt from all sixteen lantern panes. The rotation of the lens was timed: one full turn in 40
seconds, as it should be. The standby generator was run for half an hour and took the load without complaint.

19 January. Storm from the north-west. Two roof tiles of the oil store were lost, and the gallery rail is loose on
the seaward side. Nobody goes out on the gallery until the rail is bolted again.

2 February. The coast guard's electrician replaced the main lamp after 11,400 hours of service. The old lamp had not
failed, but its light had dropped below nine tenths of the rated strength. The spare is kept in the red chest under
the stairs.

16 February. Mercury in the bearing bath topped up with 200 grams. Gloves and mask were worn; the windows stayed open
until the evening.

3 March. From today only the two keepers and the district engineer may enter the lamp room. Visitors of the tower see
it through the glass door. The key hangs in the watch room, and whoever takes it writes name and hour into the key
book.

21 March. The fog signal stayed silent during the test because a mouse had gnawed through the cable of its sensor. The
cable was led through a steel pipe, and the signal sounded at the second trial. The gallery rail has been bolted.
"""

BAKERY = _unwrapped("""# Handbook of the Corner Bakery

## Rye loaf

The starter is fed the evening before with equal weights of rye flour and lukewarm water. In the morning it is mixed
with 600 grams of medium rye flour, 400 grams of strong wheat flour, 20 grams of salt and 680 grams of water. The
dough is sticky and is not kneaded but only stirred. It proves in the basket for two hours and goes into the oven at
250 degrees; after fifteen minutes the heat is turned down to 200 degrees. A loaf that sounds hollow when knocked on
its underside is done.

## Butter buns

The buns are made of wheat flour, milk, butter, sugar and fresh yeast. The dough may spend up to sixteen hours in the
cold room; longer than that it turns sour and tears when it is shaped. Before baking, the buns are brushed with egg
so that they come out shiny.

## Allergens

The counter has to tell every customer who asks what a product contains. Rye loaf holds gluten only. Butter buns hold
gluten, milk and egg. The nut slices are baked last of all, because traces of hazelnut would otherwise get into the
other dough. The mixer is washed after them with hot water and soda.

## Leftovers

Bread of the day before is sold at half its price until noon. What is left then goes to the soup kitchen, which
fetches it at one o'clock.
""")

MUSEUM = """Rules for visitors of the Museum of Clocks

The museum is open from Tuesday to Sunday, 10 a.m. to 5 p.m. It stays closed on Mondays and on the first two weeks of
November, when the clocks are cleaned.

Admission is 9 euros. Students and pensioners pay 6 euros. Children under twelve years of age are admitted free of
charge if an adult comes with them. The ticket is valid for the whole day, so that you may leave for lunch and come
back.

Bags larger than a sheet of A3 paper have to be left in the lockers beside the entrance. A locker takes a one-euro
coin, which falls out again when you return the key. Umbrellas go into the stand.

You are welcome to take pictures for your own use. Flash and tripods are forbidden in all rooms, because sudden light
harms the painted dials. Whoever wants to film for publication asks the management in writing two weeks ahead.

Please do not touch the clocks, not even those that stand still: the acid of the skin eats into brass. In the workshop
on the second floor there are three movements that you may wind up yourself under the guidance of an attendant.

Eating and drinking are permitted in the courtyard only. Dogs have to wait outside; guide dogs are of course welcome.
The great striking of all clocks can be heard daily at noon.
"""

FLOOD = _unwrapped("""# Report on the January flood of the river Aldra

The gauge at the Tannery Bridge reached its highest level, 5.82 metres, on 14 January at four in the morning. The mean
level of the month is 1.90 metres. A higher level has been measured only once, in the spring of 1956, when the water
stood at 6.10 metres.

The river rose by almost three metres within nine hours. The reason for this speed was that the ground was frozen to a
depth of thirty centimetres: the rain of two days could not seep in and ran off the fields straight into the brooks.
The retention basin above the town was filled after five hours and spilled over.

In the lower town 64 houses were flooded, most of them in Dyer's Lane and around the fish market. No one was hurt. The
fire brigade pumped out cellars for six days. Damage to buildings is put at 3.1 million euros, to roads and bridges at
800,000 euros.

The warning by siren came at eleven in the evening, two hours later than planned, since the mobile network of the
duty officer had broken down. From now on the duty officer carries a radio as well.

The council proposes to raise the embankment at the fish market by seventy centimetres and to enlarge the retention
basin by half. Both measures are to be finished in three years.
""")

BICYCLES = """Spoke & Chain, bicycle workshop: price list for this season

All prices include tax and labour; parts are charged in addition unless the line says otherwise.

- Small service (adjust gears and brakes, oil the chain, check all screws): 45 euros
- Large service (as above, plus bearings cleaned and greased, wheels checked): 95 euros
- Puncture repaired, new tube included: 16 euros
- Buckled wheel trued: 22 euros
- New spoke, wheel trued afterwards: 28 euros
- Brake pads, one pair, fitted: 14.50 euros
- Gear cable replaced: 19 euros
- Chain and sprockets replaced: 48 euros

Electric bicycles are serviced on Wednesdays and Thursdays only, because the mechanic trained for them is not here on
the other days. We do not open batteries. A battery that no longer holds its charge is sent to its maker.

Please bring the bicycle clean. For a bicycle that we have to wash first we charge another 12 euros. An estimate is
free of charge, and whatever costs more than the estimate is done only after a telephone call.

A bicycle is usually ready after three working days; in April and May it can take a fortnight. Bicycles that nobody
fetches within two months cost 2 euros of storage a day. On repairs we give a guarantee of one year, on used bicycles
six months.
"""

COOPERATIVE = _unwrapped("""# Minutes of the annual meeting of the housing cooperative Linden Court

Present: 41 of 58 members, so the meeting has a quorum. In the chair: the head of the board. Minutes: the caretaker.

1. Accounts. The treasurer presents the accounts. Income of 412,000 euros stands against expenses of 389,500 euros. The
surplus goes into the reserve for the roof. The auditors have found no fault, and the board is discharged with two
abstentions.

2. Heating. The gas boiler in the cellar of house C is 27 years old. The meeting decides by 33 votes to 8 to replace it
by a heat pump. The work begins in May, after the heating season, and costs each flat a single contribution of 1,150
euros, which may be paid in ten instalments.

3. Laundry room. There have been complaints about washing at night. From now on the machines are switched off between
ten in the evening and six in the morning. The request to put up a second dryer is rejected, since the wiring does not
allow it.

4. Courtyard. A group of members will plant the beds along the wall and look after them in summer. The cooperative pays
for soil and plants up to 600 euros. The old walnut tree stays; an expert has found it healthy.

5. Elections. The deputy head of the board steps down after twelve years. The member from flat 17 is elected as
successor without a vote against.

The next meeting takes place on the second Thursday of March.
""")

TELESCOPE = """USER MANUAL - 130 mm reflecting telescope on an equatorial mount

Setting up. Spread the legs of the tripod until they lock and put it on firm ground, not on a wooden deck: each step
on the boards makes the image tremble. Screw the mount on, slide the counterweight onto its rod, and only then fasten
the tube. Balance the tube before you loosen both clamps.

Never look at the sun through the telescope or its finder without the solar filter in front of the tube. A moment is
enough to blind you.

Eyepieces. The telescope comes with eyepieces of 25 mm and 10 mm. Divide the focal length of the tube, 650 mm, by that
of the eyepiece to get the magnification: the 25 mm eyepiece magnifies 26 times, the 10 mm eyepiece 65 times. Begin
with the weaker one, whose field of view is wider.

Cooling. A tube that comes from a warm room shows blurred stars, because warm air swirls inside it. Leave the telescope
outdoors for forty minutes before you observe.

Collimation. If stars look like little comets even in the middle of the field, the mirrors are out of line. Turn the
three screws behind the main mirror in small steps until the rings around a star out of focus are concentric.

Care. Dust on the mirror does little harm, wiping does much. Blow it off with a rubber bellows, and wash the mirror
once in several years at most, with distilled water and a drop of soap. Keep both caps on when the telescope is stored.
"""

ALLOTMENTS = """Statutes of the allotment garden association Sunny Slope

§ 1 Plots. A plot has 200 to 300 square metres. At least one third of it is used for growing fruit and vegetables. The
arbour may cover 24 square metres at most and is not to be lived in.

§ 2 Lease. A plot is leased to one household only. On signing, the tenant pays a deposit of 250 euros, which is given
back without interest at the end of the lease if the plot is handed over in order. The yearly rent is due by the end
of January.

§ 3 Notice. The tenant may give notice up to 31 August, with effect from the end of November. The board may give
notice if the rent is more than three months in arrears or if the plot lies waste in spite of two warnings.

§ 4 Quiet. Motor mowers, saws and other loud devices rest from one to three in the afternoon and all day on Sundays.

§ 5 Trees and hedges. Forest trees, walnut trees and conifers must not be planted. Hedges are kept below 1.25 metres
in height, so that walkers can look into the gardens. They are not cut between March and September, while birds nest.

§ 6 Animals. Hens may be kept with the consent of the neighbours, five at most. Up to two hives of bees may be put up
in the place that the board assigns.

§ 7 Common work. Each tenant does eight hours of common work in a year. For each hour that is missing 20 euros are to
be paid.

§ 8 Water. The water is turned on in April and turned off on the last Saturday of October.
"""

FERRY = _unwrapped("""# Notice to passengers: timetable of the ferry Marstad - Hellig Island

Valid from 1 May to 30 September. The crossing takes 35 minutes.

From Marstad the ferry leaves on weekdays at 6.30, 9.00, 12.15, 15.45 and 18.20. From the island it goes back at 7.30,
10.15, 13.30, 17.00 and 19.30.

On Sundays and public holidays there are three sailings: from Marstad at 9.30, 14.00 and 17.15, from the island at
10.45, 15.15 and 20.10. The boat at 20.10 is the last of the day and does not wait for anybody.

A single ticket costs 8.40 euros, a return ticket 14 euros. Bicycles travel for 3 euros. Cars are carried on weekdays
only and have to be booked by telephone until noon of the day before; six of them find room on deck.

In winds of force 8 and above the ferry does not sail. Whether it sails is decided by the captain one hour before
departure and shown on the board at the pier. If a sailing is cancelled, tickets remain valid until the end of the
season, and whoever asks gets the money back at the harbour office.

Passengers in wheelchairs are asked to come to the pier twenty minutes before departure, so that the crew can lay out
the wide gangway. Dogs are kept on a lead on board. Smoking is allowed on the open upper deck aft of the funnel.
""")

BEES = """# Keeping bees: a first year

**The place.** Put the hive where it gets the morning sun and is sheltered from the wind, with the entrance to the
south-east. The flight path should not cross a footpath. Water must be near, or the bees will visit the neighbours'
pond.

**Spring.** On the first warm day above twelve degrees you open the hive for a short look. Are there stores of at least
two full combs? Is there brood in all stages? A colony without eggs has lost its queen and is united with another one.

**Swarming.** Between the end of April and the end of June a strong colony wants to swarm. Look through the brood combs
every seven days. As soon as you find queen cells with eggs or larvae in them, make a nucleus: take out two combs of
brood with the bees on them and set them up in a box of their own, some steps away. That relieves the old colony of its
urge.

**Honey.** Honey is ripe when two thirds of the comb are capped. Its water content must be below 18 per cent, otherwise
it ferments in the jar. Never take all of it.

**Varroa.** The mite is treated with formic acid right after the last harvest, and once more with oxalic acid in
December, when the colony has no brood. Wear gloves and goggles with both acids.

**Winter.** A colony needs about 15 kilograms of food for the winter. It is fed with sugar syrup, three parts of sugar
to two parts of water, and the feeding has to be over by the middle of September. Narrow the entrance so that mice stay
outside.
"""

DOCUMENTS = {
    "Skarnholm Light, maintenance log": LIGHTHOUSE,
    "Bakery handbook": BAKERY,
    "Museum of Clocks, rules for visitors": MUSEUM,
    "January flood of the Aldra": FLOOD,
    "Price list of the bicycle workshop": BICYCLES,
    "Minutes of the housing cooperative": COOPERATIVE,
    "Telescope manual": TELESCOPE,
    "Statutes of the allotment gardens": ALLOTMENTS,
    "Ferry timetable": FERRY,
    "Keeping bees": BEES,
}
