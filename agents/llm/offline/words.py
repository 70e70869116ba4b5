"""What the offline model knows of words: which carry no meaning, which count, which tell a time."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_STOPWORDS = {
    "en": """
        a about above after again against anybody anyone anything everybody everyone everything nobody
        nothing somebody someone something along away ago all also am an and any are aren't as at be because been
        before being below between both but by can can't cannot could couldn't did didn't do does doesn't
        doing don't down during each either else ever few for from further get gets getting got had hadn't
        has hasn't have haven't having he her here hers herself him himself his how however i i'd i'll i'm
        i've if in into is isn't it it's its itself just let let's may me might more most much must my
        myself neither no nor not now of off on once one's only or other ought our ours out over own please
        quite rather same shall she should shouldn't since so some such than that that's the their theirs
        them themselves then there there's these they they're this those through thus to too under until up
        upon us very was wasn't we were weren't what what's whatever when where whether which while who whom
        whose why will with within without won't would wouldn't yet you your yours yourself
    """,
    "de": """
        wann wieviel viele heißt heißen wozu womit woher wohin aber als am an auch auf aus bei bin bis das
        dass dem den der des die dies diese dieser dieses doch du ein eine einem einen einer eines er es für
        gibt haben hat hatte ich ihr ihre im in ist ja kann können man mehr mit muss nach nicht noch nur
        oder ob sehr sein seine sich sie sind so über um und uns unter vom von vor war waren warum was
        welche welcher welches wenn wer werden wie wieso wir wird wo wurde wurden zu zum zur
    """,
    "fr": """
        a à au aux avec c'est ce ces cet cette comment combien dans de des du elle elles en est et être eu
        il ils je la le les leur leurs lui mais même ne nos notre nous on ont ou où par pas peut plus pour
        pourquoi qu'est quand que quel quelle quelles quels qui sa sans se ses si son sont sur un une vos
        votre vous y était
    """,
    "es": """
        a al algo como cómo con cuál cuáles cuando cuándo cuánto cuánta cuántos de del desde donde dónde el
        él ella ellos en entre era es esa ese eso esta está están este esto fue ha hay la las le les lo los
        más me mi muy no nos o para pero por porque qué que quién quien se ser si sin sobre son su sus
        también tiene un una uno y
    """,
    "it": """
        a ai al alla che chi ci come con cosa da dal dalla dei del della delle di dove e è ed era gli ha
        hanno i il in io la le lei lo loro lui ma nei nel nella non o per perché più quale quali quando
        quanto quanti se si sia sono su sul sulla suo tra un una uno
    """,
    "nl": """
        aan al als bij dan dat de der deze die dit een en er ge had heeft hebben het hier hij hoe hoeveel
        hun ik in is je kan maar meer met naar niet nog nu of om onder ook op over te tot uit van veel voor
        waar waarom wat welke wanneer wel werd wie wordt ze zich zijn zo
    """,
    "pt": """
        a ao as até com como da das de do dos e é ela ele em era essa esse esta está este eu foi há isso
        isto já mais mas na não nas no nos o onde os ou para pela pelo por porque qual quais quando quanto
        quantos que quem se sem ser seu sua são também tem um uma
    """,
}

STOPWORDS: dict[str, frozenset[str]] = {language: frozenset(text.split()) for language, text in _STOPWORDS.items()}

GENERIC = _set("""
        according apply concern exist actually come back today nowadays currently present instruction guideline
        background
        basics history role importance principle story far often answer article ask aspect back based basic
        become calculate compute crawl download evaluate fetch scrape visit best better brief briefly call
        case certain check clear come compare contain context current describe detail difference different
        differ discuss document doc documentation does each effect end enough essay exactly example explain
        explanation fact file find following general give go good happen happens help idea important include
        inform information involve item keep key kind know known large like list look main make many matter
        maybe mean meaning mention mentioned method name need new note notes number objective one overview
        page paragraph part particular people perform place point possible probably problem process provide
        purpose put question read reason refer regard relate report research result role said say see
        sentence set several short show similar simple site source specific state still subject sum
        summarise summarize summary take talk tell text thing think time topic try two type typical
        understand use used useful user using usually various want way website well word work workspace
        write
    """)
"""Words so general that a passage without them may well be the answer."""

PRONOUNS = _set("it its itself they them their theirs he him his she her hers this that these those")

_IRREGULAR = """
        be:is,are,was,were,been become:became begin:began,begun bite:bit,bitten blow:blew,blown
        break:broke,broken breed:bred bring:brought build:built burn:burnt buy:bought catch:caught
        choose:chose,chosen die:dead,death draw:drew,drawn drink:drank,drunk drive:drove,driven
        eat:ate,eaten fall:fell,fallen feed:fed fight:fought find:found fly:flew,flown forget:forgot,forgotten
        freeze:froze,frozen give:gave,given grow:grew,grown hide:hid,hidden hold:held keep:kept lay:laid
        lead:led leave:left lend:lent lose:lost make:made meet:met pay:paid ride:rode,ridden ring:rang,rung
        rise:rose,risen run:ran see:saw,seen seek:sought sell:sold send:sent shake:shook,shaken
        shrink:shrank,shrunk sing:sang,sung sink:sank,sunk sleep:slept speak:spoke,spoken spend:spent
        spin:spun steal:stole,stolen stick:stuck strike:struck swell:swollen swim:swam,swum take:took,taken
        teach:taught tell:told think:thought throw:threw,thrown understand:understood wake:woke,woken
        wear:wore,worn win:won write:wrote,written child:children foot:feet goose:geese
        life:lives man:men mouse:mice ox:oxen tooth:teeth wolf:wolves woman:women half:halves knife:knives
        shelf:shelves good:better,best bad:worse,worst datum:data index:indices,indexes vertex:vertices
        criterion:criteria
    """

IRREGULAR: dict[str, str] = {
    form: base for base, forms in (entry.split(":") for entry in _IRREGULAR.split()) for form in forms.split(",")
}

MEASURES = _set("long tall high wide deep old far fast slow heavy big large small often soon hot cold thick")
"""Words that ask for a measure; nobody looks for them as such."""

NUMBER_WORDS = _set("""
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
        sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred
        thousand million billion dozen half quarter third once twice
    """)

MONTHS = _set("january february march april may june july august september october november december")

WEEKDAYS = _set("monday tuesday wednesday thursday friday saturday sunday")

TIMES = WEEKDAYS | _set("""
        day weekday weekend week month year today tomorrow yesterday morning noon evening night midnight
        spring summer autumn winter daily weekly monthly yearly annual century before after once until
        during always never soon
    """)

ROLES = _set("""
        people person everybody anybody nobody member keeper engineer captain crew staff board council committee
        owner tenant manager director head chief chair chairman president treasurer secretary caretaker officer guard
        attendant mechanic electrician plumber carpenter gardener doctor nurse teacher pupil student parent child
        adult visitor guest customer passenger driver pilot police brigade mayor minister judge lawyer auditor clerk
        librarian cook baker farmer author artist editor operator administrator inspector expert volunteer neighbour
        neighbor resident household employee employer worker team company
    """)
"""Whom rules and minutes name by what they are."""
