"""The words that the support check knows: English and German tables, no rules.

Written from what support texts say in general. A word that is missing here makes the check stricter, never laxer:
a sentence is refused and the approved text is sent.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that carry no claim of their own.
STOP = _set("""
a an the this that these those it its itself they them their theirs he she his her we us our ours you your yours
yourself i me my one ones who whom whose which what when where while how why there here then than as at by for from in
into of off on onto out over to toward towards through under up upon with about across along among around between
during per via and or but so yet if because since though although whether also too just simply please then thus
therefore however still already again both each either such same own other others another else more most less least
few fewer much many several some enough quite rather very is are was were be been being am do does did done doing has
have had having can could may might must shall should will would ought let lets get gets got s t re ve ll d m
like want wants way ways thing things case sure kind part together
e g i.e etc else well now once twice later afterwards beforehand yes okay hello hi thanks thank
not never cannot any nor neither without except instead unless rather no none nobody nothing includes contains allows
means learn details detail information after before until within beyond since per
every everybody everyone everything anyone anybody anything always only all sometimes often usually normally somebody
someone away immer jeder jede jedes jeden alle allen alles manchmal oft meistens
go goes open opens click tap press choose select pick use uses using used see find look enter type hit visit follow
der die das den dem des ein eine einen einem einer eines dies diese dieser dieses diesen es er sie ihr ihre ihren ihrem
ihrer wir uns unser unsere ich mich mein meine du dich dein deine man sich wer was wann wo wie warum dass ob wenn weil
da damit als und oder aber denn doch sondern auch noch nur schon so dann dort hier danach dafür davon dazu dabei darunter
an am auf aus bei beim bis dahin durch für gegen hinter im in ins mit nach neben seit über um unter von vom vor während
wegen zu zum zur zwischen lang lange mehr sehr bitte ist sind war waren sein bin bist wird werden wurde wurden worden
hat haben habe hatte kann können kannst konnte darf dürfen muss müssen soll sollen will wollen lässt lassen möchte
nicht nie niemals ohne weder statt außer kein keine keinen keinem keiner keines niemand nichts gehen gehe öffnen öffne klicken drücken wählen nutzen benutzen verwenden finden finde siehe innerhalb jeweils
""")

# Words that a sentence may bring along, but may not deny where the passage does not, nor the other way round.
SOFT = _set("""
able possible possibly available become becomes became reach reaches reached happen happens create creates created ready passed
work works working need needs needed has enter ask write contact read know knows möglich verfügbar geht funktioniert brauchen benötigen
""")

# Words of the same meaning, where support texts vary. The first names the group.
SAME = (
    "receive arrive come obtain deliver send sent",
    "cost price pay paid charge fee",
    "refund reimburse reimbursement",
    "cancel cancellation terminate",
    "delete erase remove deletion erasure",
    "email mail e-mail",
    "include contain comprise cover consist",
    "sign-in login log-in signin sign log",
    "allow permit let host may",
    "offer offered provide provided",
    "fail failure failed",
    "lost lose loses",
    "buy bought purchase purchased",
    "begin start starts begins",
    "end ends expire expires finish finished valid",
    "keep kept store stored retain retained bewahren aufbewahrt aufbewahren",
    "exist existing exists",
    "following next",
    "working business",
    "customer user people person member",
    "update updated renew",
    "required require requires necessary mandatory obligatory needed need needs",
    "join joined join",
    "picture photo image",
    "company organisation organization",
    "app application",
    "back return returned returns zurück",
    "answer answers reply replies respond response",
    "repeat repeated retry",
    "take takes last lasts",
    "save saves reduce",
    "maximum limit limited limits",
    "yearly annual annually year jährlich",
    "monthly month",
    "daily day",
    "show shown shows display displayed",
    "change changed changes modify edit ändern änderung geändert",
    "löschen gelöscht löschung entfernt entfernen",
    "zahlen kosten kostet bezahlen preis",
    "zurück zurückgeben zurückgegeben rückgabe",
)

# Pairs of which one never stands for the other.
OPPOSITE = (
    ("before", "after"),
    ("vor", "nach"),
    ("until", "after"),
    ("bis", "nach"),
    ("past", "future"),
    ("annual", "monthly"),
    ("monthly", "annually"),
    ("above", "below"),
    ("over", "under"),
    ("open", "closed"),
    ("with", "without"),
    ("required", "optional"),
    ("enable", "disable"),
    ("inside", "outside"),
    ("include", "exclude"),
    ("first", "last"),
    ("more", "fewer"),
    ("more", "less"),
    ("increase", "decrease"),
    ("public", "private"),
    ("possible", "impossible"),
    ("valid", "invalid"),
    ("success", "failure"),
    ("old", "new"),
    ("automatically", "manually"),
    ("daily", "weekly"),
    ("monthly", "yearly"),
)

NEGATORS = _set("""
not never cannot nor neither without except unless
nicht nie niemals ohne weder statt außer
""")
# Two words that deny together.
NEGATING_PAIRS = frozenset({("instead", "of"), ("rather", "than")})
# These deny what they stand before and what is then said of it.
DENIERS = _set("no none nobody nothing kein keine keinen keinem keiner keines niemand nichts")

# Words that bind the team. They must stand where the sentence has them from, in these or in words of their group.
BINDING = (
    "guarantee guaranteed guarantees garantie garantiert",
    "promise promised promises versprechen versprochen",
    "ensure ensures assure",
    "always immer",
    "each every per everybody everyone everything anyone anybody anything all any jeweils jeder jede jedes jeden alle",
    "never niemals nie",
    "several multiple many mehrere viele",
    "only nur solely exclusively",
    "immediately instantly instant sofort",
    "free kostenlos gratis umsonst",
    "refund refunds refunded money-back erstattet erstattung",
    "compensate compensation compensates entschädigung",
    "discount discounts rabatt",
    "waive waived waives erlassen",
    "bonus gift credit gutschrift geschenk",
    "exception exceptions ausnahme ausnahmen",
    "entitled entitle eligible anspruch",
    "unlimited lifetime forever permanent permanently unbegrenzt",
    "full fully complete completely entire whole voll vollständig",
    "automatically automatic automatisch",
    "definitely certainly surely bestimmt sicher",
    "insurance insured versichert versicherung",
    "sometimes often usually normally manchmal oft meistens",
)

# Announcements: what we say that we shall do must be something that the passage says that we do.
ANNOUNCE = (
    ("we", "will"),
    ("we'll",),
    ("team", "will"),
    ("manager", "will"),
    ("you", "will"),
    ("you'll",),
    ("wir", "werden"),
)

# Verbs that lend their negation to what follows: "not offer support" denies the support.
LIGHT = _set("offer provide take make give keep accept charge")
# Where these follow, a denial has reached what it denies.
PREPOSITIONS = _set(
    "by in on at for from with of to as per until after before within unless while if when because during während wenn über von mit für bei in im auf an zu nach"
)
SIDES = _set("before after vor nach")
TIMES = SIDES | _set(
    "until within then later first ahead earlier since once when bis innerhalb danach zuerst"
)
OPENERS = _set("""
if when once after before until while below above with by under as for from in on to within beyond wenn falls nach vor
bis mit bei unter für in auf
""")  # what comes up to the comma is a circumstance, and what the clause is about follows
PRONOUNS = _set("it they this these that those each er sie es dies diese")
PERSONS = _set("you we wir sie ihr du")
SUPPOSING = _set("if wenn falls")
RANGE = _set(", to or and bis oder und")  # between the ends of a range
JOINTS = _set(", ; : . and or but und oder aber")  # where a list goes on to its next entry
RATES = _set("per pro je")  # before a unit: how often
OURS = _set("we us our ours we'll wir uns unser unsere")

OBLIGATION = _set("must required obliged mandatory muss müssen musst")
PERMISSION = _set("can may could kann können darf dürfen")

NUMBERS = {
    word: value
    for value, words in enumerate(
        [
            "zero",
            "two zwei zwo",
            "three drei",
            "four vier",
            "five fünf",
            "six sechs",
            "seven sieben",
            "eight acht",
            "nine neun",
            "ten zehn",
        ],
        1,
    )
    for word in words.split()
}
NUMBERS = {word: (0 if word == "zero" else value) for word, value in NUMBERS.items()} | {
    "one": 1,
    "ein": 1,
    "eine": 1,
    "einem": 1,
    "einen": 1,
    "einer": 1,
    "eleven": 11,
    "elf": 11,
    "twelve": 12,
    "zwölf": 12,
    "thirteen": 13,
    "fourteen": 14,
    "vierzehn": 14,
    "fifteen": 15,
    "fünfzehn": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
    "twenty": 20,
    "zwanzig": 20,
    "thirty": 30,
    "dreißig": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "sechzig": 60,
    "ninety": 90,
    "neunzig": 90,
    "hundred": 100,
    "hundert": 100,
}
ARTICLES = _set("one ein eine einem einen einer")  # numbers only before a unit

# Units, each with its base and how many of that base it is.
UNITS = {
    word: (base, factor)
    for base, factor, words in (
        ("minute", 1 / 60, "second seconds sec sekunde sekunden"),
        ("minute", 1, "minute minutes min minuten"),
        ("minute", 60, "hour hours h stunde stunden"),
        ("minute", 1440, "day days tag tage tagen"),
        ("minute", 10080, "week weeks woche wochen"),
        ("month", 1, "month months monat monate monaten"),
        ("month", 12, "year years jahr jahre jahren"),
        ("euro", 1, "€ eur euro euros"),
        ("dollar", 1, "$ usd dollar dollars"),
        ("pound", 1, "£ gbp pound pounds"),
        ("percent", 1, "% percent prozent"),
        ("byte", 1e3, "kb"),
        ("byte", 1e6, "mb"),
        ("byte", 1e9, "gb"),
        ("byte", 1e12, "tb"),
    )
    for word in words.split()
}
WORKING = _set("working business werktage werktagen arbeitstage arbeitstagen")

AT_MOST = ("up to", "at most", "no more than", "not more than", "less than", "fewer than", "below", "under", "until",
           "within", "maximum", "maximal", "bis zu", "höchstens", "innerhalb", "unter", "bis")  # fmt: skip
AT_LEAST = ("at least", "more than", "over", "above", "from", "minimum", "beyond", "mindestens", "mehr als", "über",
            "ab")  # fmt: skip
AT_MOST_AFTER = ("at most", "or less", "or fewer", "maximum", "höchstens", "maximal")
AT_LEAST_AFTER = ("or more", "at least", "minimum", "oder mehr", "mindestens")

GENEROUS = _set("free refund refunded refunds full unlimited kostenlos")
CONDITIONS = _set("""
if unless only until except within provided when before after from below above outside inside wenn falls nur bis außer
innerhalb sofern
""")

ENDINGS = _set("""
s es ed d ing er ers e y ies ied ly al able ation ations ion ions ment ments n en ens er ern em es t te ten tion
""") | {""}
