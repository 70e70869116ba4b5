"""Words that stand for one another often enough to look for one where the other is asked.

In a group with ">" this goes one way: who asks how long may be told of days, who asks for a day is not told of minutes.
"""

from __future__ import annotations

from collections import defaultdict

from agents.llm.offline.text import stem

_GROUPS = """
    leaf > leave; begin start > from since; end stop finish > until till; period > month year week day time;
    visible > show see display appear; sleep > bed; people person > inhabitant guest men bed seat resident;
    high > tall height metre meter feet foot rise altitude elevation; tall > high height metre meter feet foot rise
    altitude elevation; long > length kilometre kilometer mile metre meter span extend short byte character second
    minute hour day week month year; wide > width breadth broad; deep > depth; old > age year ancient; far >
    distance mile kilometre kilometer metre meter away; day > monday tuesday wednesday thursday friday saturday
    sunday; cash card payment pay; big large size huge area; big large size area > surface cover square hectare
    kilometre; small little tiny; child children > daughter son; parent > mother father; husband wife spouse >
    marry; disable > off deactivate stop switch; enable > on activate start; fast > quick speed rapid velocity; slow
    > slowly; heavy > weight weigh kilogram tonne ton gram; cost price fee fare charge pay > cost price pay fee
    charge fare expensive cheap euro dollar pound; start begin launch open commence first establish; end finish stop
    complete close last conclude; form > carve shape create make arise; join > welcome enter member; build construct
    construction erect make assemble; founded establish create; invent invention create devise develop;
    design architect plan draw; write author writer pen compose; paint painter painting; discover find discovery
    detect identify; die death dead; bear birth born; live dwell inhabit habitat home reside; eat feed diet food
    consume prey; buy purchase acquire; sell sale; make produce manufacture; grow cultivate plant; job work employ
    profession; boss manager director head lead; colour > color red white blue green yellow black orange brown
    purple grey gray pink; hot heat warm; hot > heat warm temperature degree celsius; cold > cool temperature degree
    celsius; temperature > degree celsius fahrenheit; boil boiling; rain rainfall precipitation; where > locate
    location situated lie; capital city; country nation state; ship boat vessel; car vehicle automobile; doctor
    physician; ill disease sick illness; cure treat treatment heal remedy; cause reason because lead due; prevent
    avoid stop protect keep; happen occur; fail failure crash die error fault; crash die kill fail; delete remove
    erase; repair fix mend restore; change alter modify; increase grow rise raise; decrease drop fall reduce decline
    shrink; need require must; allow permit let enable; forbid prohibit ban; help assist aid; show display; store
    keep save hold; send transmit deliver; receive get obtain; guard protect secure; destroy ruin wreck demolish
    burn; member staff employee worker; pupil student; teach teacher instruct; road street route; song music tune
    melody; film movie; war battle conflict; king queen monarch ruler; population inhabitant resident people;
    visitor tourist guest; many > number count total; frequency often every per; limit maximum cap most; minimum
    least; wait delay pause; retry attempt again repeat; task job work; simultaneous concurrent parallel same;
    advantage benefit pro; disadvantage drawback downside con; danger risk hazard threat; kind type sort variety
    species; material > wood stone steel iron brick concrete metal glass; win prize award victory; speak language
    tongue; owner own belong; soon > within hour day minute early; thick > thickness; kilogram kilo kilograms kg;
    kilometre kilometer km; metre meter; litre liter; percent percentage share rate; harvest pick gather reap
    collect; manage run lead direct head operate; bring reach deliver carry take transport; command lead under
    colonel general captain commander; initial first original default; afterwards later after then subsequent;
    before earlier previous prior; leftover left remain residue rest; return back again revisit; orbit circle
    revolve around; raze destroy demolish; supply provide deliver; explode burst blow; attack assault raid besiege;
    defend protect guard; surrender capitulate yield; kill murder slay; hurt injure wound harm damage; break
    fracture crack snap; jump leap hop; hide conceal; hit strike beat; throw discard dispose; choose select pick
    elect decide; decide decision determine resolve; approve allow authorise authorize permit approval consent;
    reject refuse decline deny; answer reply respond response; ask request inquire; order command instruct; call
    name title; nickname call known; mean signify indicate stand denote; signal sign indicate mark; measure size
    length diameter; contain include hold consist comprise; consist compose make; ingredient contain consist make;
    connect link join attach; separate split divide detach; mix blend stir combine; clean wash rinse scrub; dry
    dried; cook boil bake fry roast; cut chop slice trim prune; lock secure; unlock open; log record register; sign
    signature; copy duplicate; replace substitute exchange swap; move transfer migrate relocate shift; travel
    journey trip ride; arrive reach come; depart leave departure; visit attend; hire recruit employ; dismiss fire
    sack; earn salary wage pay; salary wage pay earn; owe debt; lend borrow loan; refund reimburse repay; save
    preserve conserve; waste squander; own possess property belong; rent lease hire; build built architect
    constructor; house building home; flat apartment; village town settlement; town city municipality; mountain hill
    peak summit; river stream creek; lake pond reservoir; sea ocean; forest wood woodland; field meadow; island
    isle; coast shore beach; harbour harbor port; airport airfield; station stop; bridge viaduct; church cathedral
    chapel; castle fortress fort; soldier troop men garrison; enemy attacker opponent; sailor seaman crew; crew
    staff team; team group squad; company firm business enterprise; customer client buyer; seller vendor dealer;
    product goods item; factory plant mill works; tool device instrument; machine device apparatus; device appliance
    unit; engine motor; battery pack cell accumulator; screen display monitor; button key switch; password passcode
    pin; user account; error mistake fault bug failure; backup copy; restore recover; update upgrade; install setup
    set; configure set setup setting; reboot restart; restart reboot start; upload send transfer; download fetch;
    encrypt cipher; test check examine verify; inspect check examine; review check examine approval; monitor watch
    observe; notice see observe; watch observe; hear listen; smell odour odor scent; taste flavour flavor; sound
    noise; bright light; dark black; loud noisy; quiet silent; strong powerful; weak feeble; dangerous harmful
    hazardous risk toxic; safe secure harmless; toxic poisonous poison; rare scarce; common frequent widespread;
    famous known renowned celebrated; famous > best; rich wealthy; poor needy; young juvenile; new recent modern;
    main chief primary principal; last final latest; next following; whole entire complete; part piece section; half
    fifty; double twice; maximum most limit highest up; minimum least lowest; average mean typical; compulsory
    mandatory obligatory must required; optional voluntary; free gratis complimentary; available obtainable;
    suitable fit appropriate; correct right accurate; wrong incorrect false; easy simple; difficult hard; useful
    helpful; necessary need required essential; plant flower herb; tree trunk; fruit berry; animal creature beast;
    bird fowl; insect bug; offspring young cub chick baby; nest breed; breed reproduce mate spawn; hunt catch prey;
    hibernate sleep winter; migrate travel; weather climate; wind storm gale; snow snowfall; flood inundate; drought
    dry; earthquake quake; volcano eruption erupt; energy power electricity; light lamp lantern; fuel oil petrol
    diesel paraffin coal gas; water liquid; air atmosphere; metal iron steel copper; money cash currency; tax levy
    duty; law rule regulation act; rule regulation guideline; crime offence offense; court judge tribunal; punish
    fine penalty; fine penalty; prison jail; government state ministry; minister secretary; president head; vote
    elect poll; school college academy; university college; student pupil learner; course class lesson; exam
    examination test; book volume novel; novel book story; chapter section; newspaper paper journal; letter mail;
    picture image photo painting; statue sculpture monument; museum gallery exhibit; exhibit show display; concert
    performance; perform play act; instrument piano violin; sport game; player athlete; match game; hospital clinic;
    nurse carer; medicine drug medication; symptom sign; infect contagious; virus germ; pain ache; blood bleed; meal
    lunch dinner breakfast; drink beverage; clothes clothing garment; shoe boot; family relative; father dad parent;
    mother mum parent; brother sibling; sister sibling; friend companion; birthday born; wedding marry marriage;
    funeral bury; bury buried grave; religion faith; founder founded establish; inventor invent; director manage
    head lead; responsible charge lead manage; chair chairman lead preside; deadline due within end until latest;
    duration last long take; last take long; begin start; expire end lapse; valid apply; schedule timetable plan;
    meeting session conference; contact write call reach question; address location mail; phone telephone; origin
    come source; nationality born; consequence result effect follow; result outcome effect consequence; goal aim
    objective purpose; purpose aim serve; solve solution resolve fix; reason because since; improve enhance better;
    worsen deteriorate; influence affect impact; affect influence impact; depend rely; require need must; recommend
    advise suggest should; warn alert caution; promise pledge guarantee; guarantee warranty; cover include apply;
    exclude except; exempt free; occupy site camp; protest demonstrate; cancel drop abandon abort; postpone delay
    defer; expand extend enlarge; shorten reduce; surround encircle; cross traverse; climb ascend; descend fall;
    swim float; sink drown; hang suspend; pull drag; push press; press push; turn rotate spin; bend curve; melt
    thaw; freeze ice; burn fire flame; extinguish quench; shine glow; grow growth; rot decay decompose spoil; spoil
    rot bad; smoke fume; spread distribute; distribute hand spread; share divide; collect gather; count number;
    weigh > weight heavy kilogram ton tonne gram; number > many; size > large big measure; lifespan life live age;
    life > live; winter > december january february; spring > march april may; summer > june july august; autumn fall
    > september october november; weekend > saturday sunday; dirt dust grime mud soil stain; dirty > dust dirt grime
    soil; bent bend buckle crooked warp twist; straighten straight align; sharp clear crisp; blur blurred blurry fuzzy
    unsharp; shake tremble wobble vibrate; terminate cancel quit resign notice; tenant lessee > lease rent;
    lease rent > tenant lessee; landlord lessor;
    bake > oven; wet damp moist; leak drip; hole puncture gap; lift raise hoist; lower sink; fasten fix attach tie
    screw bolt; loose slack; thin slim; smooth even; sticky gluey; sour acid; sweet sugar; hungry starve; thirsty
    drink; tired exhaust; happy glad; angry furious; argue quarrel dispute; complain complaint; apologise apology
    sorry; invite invitation; thank gratitude; hurry rush; walk stroll hike; run jog; stand upright; sit seat; lie
    rest; couch sofa; rug carpet; cupboard cabinet wardrobe; tap faucet; lift elevator; cellar basement; attic loft;
    roof tile; garden yard plot; fence hedge; bin rubbish garbage trash; bicycle bike cycle; lorry truck; ticket fare
    admission; luggage baggage bag suitcase; passenger traveller rider; pedestrian walker; driver motorist
"""


def _pairs() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    found: list[tuple[frozenset[str], frozenset[str]]] = []
    for group in _GROUPS.split(";"):
        asked, arrow, said = group.partition(" > ")
        words = frozenset((said if arrow else asked).split())
        found.append((frozenset(asked.split()), words))
    return tuple(found)


def _by_stem() -> dict[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for asked, said in _pairs():
        others = {stem(word) for word in said}
        for word in {stem(word) for word in asked}:
            found[word] |= others - {word}
    return {word: frozenset(others) for word, others in found.items()}


ALIKE_STEMS = _by_stem()
"""For the stem of a word asked, the stems that may be said instead."""
