"""An endless English-like corpus and three labelled tasks from a small grammar of our own.

It is for trying things out, not evidence: nothing measured on it says how a network reads real text. What it does
have is what masked-word prediction needs context for: verbs that agree with a subject several words back, past forms
that go with a time at the start of the sentence, content words that go with the topic of the document, and two people
whose profession, place, coloured thing and pronoun are told once and stay the same to the end of the document.

Every draw is an integer from a ``random.Random`` of its own, so a seed means the same everywhere, and document or
example i of a seed does not depend on how many were asked for.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from autobert_hf.records.seeds import derive


class Topic(NamedTuple):
    people: list[str]
    things: list[str]
    verbs: list[str]
    places: list[str]
    qualities: list[str]


def _words(text: str) -> list[str]:
    return text.split()


def _topic(*lines: str) -> Topic:
    return Topic(*(_words(line) for line in lines))


# Every word belongs to one topic only, all nouns and verbs are regular, and no form is both a noun and a verb.
TOPICS: dict[str, Topic] = {
    "kitchen": _topic(
        "cook baker butcher waiter brewer taster grocer caterer",
        "pot kettle oven spoon bowl pan plate recipe onion carrot cake pie soup lemon",
        "boil roast slice taste serve pickle season melt simmer knead",
        "kitchen bakery pantry cellar tavern",
        "salty sweet crisp spicy sour tender stale fresh",
    ),
    "farm": _topic(
        "farmer shepherd miller drover beekeeper tanner labourer breeder",
        "cow goat horse lamb hen plough barn fence sack bucket cart field egg pig",
        "milk harvest gather graze plant herd rake thresh shear mow",
        "meadow stable orchard pasture valley",
        "muddy hungry woolly dusty ripe lazy stubborn fertile",
    ),
    "sea": _topic(
        "sailor captain pilot fisher diver skipper whaler smuggler",
        "ship boat anchor net sail mast rope compass lantern oar whale gull barrel chart",
        "steer launch row hoist rescue lower load tow unload moor",
        "harbour island lighthouse lagoon dock",
        "stormy calm deep swift wet foggy coastal drifting",
    ),
    "music": _topic(
        "singer drummer pianist violinist composer dancer fiddler poet",
        "song drum violin piano flute concert trumpet guitar melody rhythm ballad choir string harp",
        "compose rehearse perform record tune whistle practise applaud play conduct",
        "theatre studio ballroom opera festival",
        "loud soft melodic gentle famous rhythmic shrill solemn",
    ),
    "medicine": _topic(
        "doctor nurse surgeon dentist patient chemist healer therapist",
        "bandage pill needle fever wound tablet stretcher tonic syringe bruise vaccine thermometer crutch scalpel",
        "treat cure examine inject inspect diagnose prescribe relieve disinfect soothe",
        "hospital clinic pharmacy ward laboratory",
        "sick healthy pale feverish sterile bitter painful weak",
    ),
    "building": _topic(
        "builder carpenter mason plumber painter roofer welder architect",
        "brick hammer ladder wall beam nail roof plank bridge tower crane pipe door tile",
        "repair paint measure weld polish demolish fasten assemble drill plaster",
        "workshop quarry warehouse yard site",
        "sturdy wooden crooked hollow rusty solid tall concrete",
    ),
    "law": _topic(
        "lawyer judge clerk witness juror prosecutor detective burglar",
        "trial verdict contract crime document clue bribe oath statute warrant confession alibi lawsuit treaty",
        "accuse question arrest defend deny convict suspect investigate pardon forge",
        "court prison office archive tribunal",
        "guilty innocent legal fair false secret lawful unjust",
    ),
    "railway": _topic(
        "driver guard porter passenger engineer signaller stoker commuter",
        "train engine ticket carriage wheel track signal suitcase timetable locomotive tunnel wagon trolley seat",
        "shunt check delay brake accelerate stamp reserve couple dispatch reverse",
        "station depot junction terminus platform",
        "late crowded punctual noisy express electric narrow slow",
    ),
}
SHARED_NOUNS = _words("friend neighbour stranger visitor cousin guest tourist box basket picture stone book clock")
SHARED_VERBS = _words("watch follow remember admire ignore praise need call help thank describe touch")
SHARED_QUALITIES = _words("old young small large strange quiet new heavy tired happy clever interesting")
NAMES = (
    _words(
        "Anna Clara Ella Emma Grace Hannah Ida Julia Kate Laura Lucy Maria Nina Olivia Paula Rosa Sarah Tessa Vera"
    ),
    _words("Adam Ben Carl David Edgar Felix George Henry Isaac Jacob Leo Martin Noah Oscar Peter Robert Simon Thomas"),
)
PRONOUNS = (("she", "her", "herself"), ("he", "his", "himself"))
COLOURS = _words("red blue green yellow black white brown purple grey orange pink golden")
PREPOSITIONS = _words("near behind beside above below with without opposite")
SINGULAR = _words("the the the this every one a")
PLURAL = _words("the the the these many several two three")
PRESENT_TIMES = ("every day", "in the morning", "on most evenings", "nowadays")
PAST_TIMES = ("yesterday", "last week", "long ago", "one winter")
PROPERTIES = ("role", "thing", "colour", "place", "gender")


class Verb(NamedTuple):
    """A verb before it is conjugated; ``plural`` is the number of its subject."""

    lemma: str
    plural: bool


class Person(NamedTuple):
    name: str
    gender: int
    role: str
    thing: str
    colour: str
    place: str


Phrases = list[str | Verb]


def _ends_in_consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in "aeiou"


def add_s(word: str) -> str:
    """The plural of a regular noun, spelled like the third person singular of a regular verb."""
    if _ends_in_consonant_y(word):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


def present(verb: Verb) -> str:
    if verb.lemma == "be":
        return "are" if verb.plural else "is"
    return verb.lemma if verb.plural else add_s(verb.lemma)


def past(verb: Verb) -> str:
    if verb.lemma == "be":
        return "were" if verb.plural else "was"
    stem = verb.lemma[:-1] + "i" if _ends_in_consonant_y(verb.lemma) else verb.lemma
    return stem + ("d" if stem.endswith("e") else "ed")


def _render(phrases: Phrases, conjugate: Callable[[Verb], str] = present) -> str:
    words = " ".join(conjugate(phrase) if isinstance(phrase, Verb) else phrase for phrase in phrases).split()
    pairs = zip(words, [*words[1:], ""], strict=True)
    text = " ".join("an" if word == "a" and after[:1] in "aeiou" else word for word, after in pairs)
    return text[0].upper() + text[1:] + "."


class Scene:
    """Draws the sentences of one document: its topic, and two people of different gender who live in it."""

    def __init__(self, rng: random.Random, topic: Topic) -> None:
        self.rng, self.topic = rng, topic
        roles, things, places = (rng.sample(words, 2) for words in (topic.people, topic.things, topic.places))
        colours, genders = rng.sample(COLOURS, 2), rng.sample((0, 1), 2)
        names = [rng.choice(NAMES[gender]) for gender in genders]
        self.people = [Person(*facts) for facts in zip(names, genders, roles, things, colours, places, strict=True)]

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def pick(self, words: Sequence[str]) -> str:
        """Early words are drawn more often, so that frequencies differ as they do in real text."""
        return words[min(self.rng.randrange(len(words)), self.rng.randrange(len(words)))]

    def verb(self, plural: bool) -> Verb:
        return Verb(self.pick(SHARED_VERBS if self.chance(30) else self.topic.verbs), plural)

    def noun_phrase(self, nouns: Sequence[str], plural: bool) -> str:
        quality = self.pick(SHARED_QUALITIES if self.chance(50) else self.topic.qualities) if self.chance(30) else ""
        noun = self.pick(nouns)
        return f"{self.rng.choice(PLURAL if plural else SINGULAR)} {quality} {add_s(noun) if plural else noun}"

    def thing(self) -> str:
        return self.noun_phrase(self.topic.things, self.chance(50))

    def modifier(self, plural: bool) -> Phrases:
        """What stands between a subject and its verb; the noun in it has a number and maybe a topic of its own."""
        nouns = SHARED_NOUNS if self.chance(50) else self.rng.choice(list(TOPICS.values())).things
        other = self.chance(50)
        phrase = self.noun_phrase(nouns, other)
        if self.chance(33):
            return [self.pick(PREPOSITIONS), phrase]
        return ["that", self.verb(plural), phrase] if self.chance(50) else ["that", phrase, self.verb(other)]

    def clause(self) -> Phrases:
        """Subject, maybe a modifier, and one or two verbs that agree with the subject."""
        plural = self.chance(50)
        subject = self.noun_phrase(self.topic.people if self.chance(60) else self.topic.things, plural)
        middle = self.modifier(plural) if self.chance(60) else []
        if self.chance(25):
            return [subject, *middle, Verb("be", plural), self.pick(self.topic.qualities)]
        more: Phrases = ["and", self.verb(plural), self.thing()] if self.chance(30) else []
        return [subject, *middle, self.verb(plural), self.thing(), *more]

    def statement(self) -> str:
        """A sentence about the topic, in the present or the past by the time it begins with."""
        if self.chance(25):
            return _render([self.rng.choice(PAST_TIMES) + ",", *self.clause()], past)
        when = self.rng.choice(PRESENT_TIMES) + "," if self.chance(25) else ""
        return _render([when, *self.clause()])

    def introduce(self, who: Person) -> str:
        """All properties of a person in one sentence."""
        subject, possessive, _ = PRONOUNS[who.gender]
        quality, owned = self.pick(SHARED_QUALITIES), f"{who.colour} {who.thing}"
        if self.chance(50):
            work = f"is a {quality} {who.role} who works in the {who.place}"
            return _render([who.name, work + ",", f"and {subject} has a {owned}"])
        named = f"a {quality} {who.role} named {who.name}"
        return _render([named, f"works in the {who.place} and carries {possessive} {owned}"])

    def recall(self, who: Person, what: str) -> str:
        """A sentence that follows from one property of a person, ``what`` of ``PROPERTIES``."""
        subject, possessive, reflexive = PRONOUNS[who.gender]
        mention = who.name if self.chance(50) else subject
        when = self.rng.choice(PRESENT_TIMES)
        sentences: dict[str, Phrases] = {
            "role": ["as a", who.role + ",", mention, self.verb(False), self.thing()],
            "thing": [mention, "never leaves", possessive, who.thing, "with a", self.pick(SHARED_NOUNS)],
            "colour": [mention, "cleans", possessive, who.colour, who.thing, when],
            "place": [when + ",", mention, "returns to the", who.place],
            "gender": [who.name, "asks", reflexive, "about", self.thing()],
        }
        return _render(sentences[what])

    def distort(self, who: Person, what: str) -> Person:
        """The person with one property wrong; half are the other person's, so shared words do not give it away."""
        facts, other = who._asdict(), self.people[1 - self.people.index(who)]._asdict()
        pools = {"role": self.topic.people, "thing": self.topic.things, "colour": COLOURS, "place": self.topic.places}
        wrong = other[what]
        if what in pools and self.chance(50):
            wrong = self.rng.choice([value for value in pools[what] if value not in (facts[what], other[what])])
        return Person(**(facts | {what: wrong}))


def _scene(rng: random.Random) -> Scene:
    return Scene(rng, rng.choice(list(TOPICS.values())))


def _document(rng: random.Random) -> str:
    scene = _scene(rng)
    sentences = [scene.introduce(who) for who in scene.people]
    enough = rng.randrange(40, 76)
    while len(sentences) < 8 and sum(len(sentence.split()) for sentence in sentences) < enough:
        follows = scene.recall(rng.choice(scene.people), rng.choice(PROPERTIES))
        sentences.append(follows if scene.chance(50) else scene.statement())
    return " ".join(sentences)


def _topic_example(rng: random.Random, label: int) -> dict[str, str]:
    return {"sentence": Scene(rng, list(TOPICS.values())[label]).statement()}


def _agreement_example(rng: random.Random, label: int) -> dict[str, str]:
    phrases = _scene(rng).clause()
    verbs = [(place, phrase) for place, phrase in enumerate(phrases) if isinstance(phrase, Verb)]
    if label == 0:
        place, verb = rng.choice(verbs)
        phrases[place] = verb._replace(plural=not verb.plural)
    return {"sentence": _render(phrases)}


def _coreference_example(rng: random.Random, label: int) -> dict[str, str]:
    scene = _scene(rng)
    told = " ".join(scene.introduce(who) for who in scene.people)
    who, what = rng.choice(scene.people), rng.choice(PROPERTIES)
    claimed = who if label else scene.distort(who, what)
    return {"sentence1": told, "sentence2": scene.recall(claimed, what)}


_EXAMPLES = {
    "topic": (len(TOPICS), _topic_example),
    "agreement": (2, _agreement_example),
    "coreference": (2, _coreference_example),
}
TASKS = tuple(_EXAMPLES)


def corpus(num_documents: int, seed: int) -> list[str]:
    """Documents of one paragraph, 3 to 8 sentences and about 40 to 90 words each."""
    return [_document(random.Random(derive(seed, "corpus", index))) for index in range(num_documents)]


def task(name: str, num_examples: int, seed: int) -> list[dict[str, str | int]]:
    """Labelled examples, every label equally often; take another seed for validation.

    - ``topic``: ``sentence``; the label is the index of its topic in ``TOPICS``.
    - ``agreement``: ``sentence``; 1 if every verb agrees with its subject, 0 if exactly one does not.
    - ``coreference``: ``sentence1`` introduces two people; 1 if ``sentence2`` follows from it, 0 if it gets one
      property of one of them wrong.
    """
    if name not in _EXAMPLES:
        raise ValueError(f"There is no built-in task {name!r}: take one of {', '.join(TASKS)}.")
    num_labels, example = _EXAMPLES[name]
    rngs = [random.Random(derive(seed, name, index)) for index in range(num_examples)]
    return [{**example(rng, index % num_labels), "label": index % num_labels} for index, rng in enumerate(rngs)]
