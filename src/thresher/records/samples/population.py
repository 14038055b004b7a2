"""The people, companies, trusts and agencies of a made-up jurisdiction, as arrays: one row is one real entity."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from thresher.records.samples._tables import Flags, Floats, Ints, draw, group, numbers, parameters, rows
from thresher.records.samples.lexicon import NO_WORD, Lexicon

KINDS = ("company", "person", "trust", "agency")
COMPANY, PERSON, TRUST, AGENCY = range(4)
PLACE_FIRST = ("GB", "US", "SG", "IN", "CN", "JP")
"""Where "Leeds University" is the order of words, and not "Universität Leipzig"."""


@dataclass(slots=True)
class Population:
    """One row is one real entity: words of its name (numbers of the lexicon), where it is, how it is reached.

    ``city`` is a row of ``sample_places.csv``; ``number`` a number in the name, 0 for none; ``domain`` the entity whose
    web domain it uses; ``phone`` seven digits; ``born`` the day of incorporation, since 1970.
    """

    kind: Ints
    city: Ints
    head: Ints
    given: Ints
    family: Ints
    stem: Ints
    ending: Ints
    field: Ints
    number: Ints
    tail: Ints
    placed: Flags
    street: Ints
    house: Ints
    phone: Ints
    domain: Ints
    registration: Ints
    born: Ints

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, which: Ints) -> Population:
        """Some rows, in this order."""
        return Population(*(getattr(self, field.name)[which] for field in fields(self)))


def country_of_city() -> tuple[list[str], Ints]:
    """The countries, and for every row of the places the position of its country in them."""
    codes = [row["country"] for row in rows("places")]
    names = list(dict.fromkeys(codes))
    return names, np.array([names.index(code) for code in codes])


def draw_population(rng: np.random.Generator, words: Lexicon, size: int, as_of: int) -> Population:
    """Draw a population; the mix of kinds, families of names and shared addresses are parameters.

    Parameters
    ----------
    size
        Entities.
    as_of
        The day of the records, since 1970; nobody is incorporated later.
    """
    p = parameters()
    kind = draw(rng, np.array([p["share_companies"], p["share_persons"], p["share_trusts"], p["share_agencies"]]), size)
    city = draw(rng, _city_weights(), size)
    born = as_of - rng.integers(int(p["company_age_days_least"]), int(p["company_age_days_most"]), size)
    made = Population(
        kind=kind,
        city=city,
        **_name_words(rng, words, kind, city),
        placed=_names_place(rng, kind, city),
        street=_of_place(rng, words, city, "streets", "street"),
        house=rng.integers(1, 180, size),
        phone=rng.permutation(9_000_000)[:size] + 1_000_000,
        domain=np.arange(size),
        registration=rng.permutation(np.arange(size) * 7 + 100_000),
        born=born,
    )
    _number_namesakes(made)
    _make_families_of_names(rng, made)
    _share_agents(rng, made)
    return made


def name_institution(words: Lexicon, rng: np.random.Generator, people: Population, who: Ints, part: str) -> None:
    """Give rows the name of an institution of their city (``university``, ``hospital`` or ``agency``), in place."""
    names, of_city = country_of_city()
    country = of_city[people.city[who]]
    word = words.draw(rng, names, country, part)
    first = np.isin(np.array(names)[country], PLACE_FIRST)
    for column in ("given", "family", "stem", "ending", "field", "number"):
        getattr(people, column)[who] = NO_WORD
    people.head[who] = np.where(first, NO_WORD, word)
    people.tail[who] = np.where(first, word, NO_WORD)
    people.placed[who] = True


def _city_weights() -> Floats:
    _, of_city = country_of_city()
    per_country = np.bincount(of_city)
    return numbers("places", "weight") / per_country[of_city]


def _of_place(rng: np.random.Generator, words: Lexicon, city: Ints, column: str, part: str) -> Ints:
    """A word for every row from the set that its place names in a column."""
    sets = [row[column] for row in rows("places")]
    return words.draw(rng, sets, city, part)


def _name_words(rng: np.random.Generator, words: Lexicon, kind: Ints, city: Ints) -> dict[str, Ints]:
    """The words of every name: a brand or a family's name with what the firm does, a person's names, an agency's."""
    p = parameters()
    size = len(kind)
    names, of_city = country_of_city()
    country = of_city[city]
    company = kind == COMPANY
    branded = company & (rng.random(size) < numbers("places", "branded")[city])
    agency = kind == AGENCY
    first = np.isin(np.array(names)[country], PLACE_FIRST)
    office = words.draw(rng, names, country, "agency")
    head = np.where(company, words.draw(rng, names, country, "head"), NO_WORD)
    tail = np.where(company, words.draw(rng, names, country, "tail"), NO_WORD)
    trust = words.draw(rng, names, country, "trust")
    return {
        "head": np.where(agency & ~first, office, head),
        "given": np.where((kind == PERSON) | (kind == TRUST), _of_place(rng, words, city, "names", "given"), NO_WORD),
        "family": np.where(~agency & ~branded, _of_place(rng, words, city, "names", "family"), NO_WORD),
        "stem": np.where(branded, _of_place(rng, words, city, "brands", "stem"), NO_WORD),
        "ending": np.where(branded, _of_place(rng, words, city, "brands", "ending"), NO_WORD),
        "field": np.where(company, _of_place(rng, words, city, "fields", "field"), NO_WORD),
        "number": np.where(company & (rng.random(size) < p["share_names_with_number"]), rng.integers(1, 30, size), 0),
        "tail": np.where(agency & first, office, np.where(kind == TRUST, trust, tail)),
    }


def _names_place(rng: np.random.Generator, kind: Ints, city: Ints) -> Flags:
    """Whose name names its city: agencies, and companies as their country does."""
    named: Flags = rng.random(len(kind)) < numbers("places", "placed")[city]
    placed: Flags = (kind == AGENCY) | ((kind == COMPANY) & named)
    return placed


def _number_namesakes(people: Population) -> None:
    """Agencies of one name in one city are districts, told apart by number."""
    agencies = np.flatnonzero(people.kind == AGENCY)
    _, member = group(people.city[agencies], people.head[agencies], people.tail[agencies])
    order = np.argsort(member, kind="stable")
    sizes = np.bincount(member)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    people.number[agencies[order]] = np.where(rank > 0, rank + 1, 0)


def _make_families_of_names(rng: np.random.Generator, people: Population) -> None:
    """Some companies carry the brand of another that has nothing to do with them: "Apex Compute 1" and "Apex Compute 2"."""
    _, of_city = country_of_city()
    companies = np.flatnonzero(people.kind == COMPANY)
    country = of_city[people.city[companies]]
    order = np.argsort(country, kind="stable")
    companies, country = companies[order], country[order]
    alike = (rng.random(len(companies)) < parameters()["share_names_like_another"]) & (
        np.diff(country, prepend=-1) == 0
    )
    # chains of the same brand would make large families, so that the one before must stand for itself
    alike[1:] &= ~alike[:-1]
    later, model = companies[alike], companies[np.flatnonzero(alike) - 1]
    for column in ("city", "head", "family", "stem", "ending", "tail", "street"):
        getattr(people, column)[later] = getattr(people, column)[model]
    same_field = rng.integers(0, 2, len(later)) > 0
    people.field[later[same_field]] = people.field[model[same_field]]
    people.number[later[same_field]] = people.number[model[same_field]] + 1


def _share_agents(rng: np.random.Generator, people: Population) -> None:
    """Formation agents: unrelated companies at one address, most of them with the agent's telephone."""
    p = parameters()
    companies = np.flatnonzero(people.kind == COMPANY)
    _, of_city = country_of_city()
    country = of_city[people.city]
    # every country has an agent or more, and a client takes one of its own country
    agents = rng.choice(companies, round(p["agents_per_company"] * len(companies)), replace=False)
    agents = np.concatenate([companies[np.unique(country[companies], return_index=True)[1]], agents])
    agents = agents[np.argsort(country[agents], kind="stable")]
    clients = companies[rng.random(len(companies)) < p["share_at_agents"]]
    first = np.searchsorted(country[agents], country[clients])
    several = np.searchsorted(country[agents], country[clients], side="right") - first
    agent = agents[first + (rng.random(len(clients)) * several).astype(np.int64)]
    for column in ("city", "street", "house"):
        getattr(people, column)[clients] = getattr(people, column)[agent]
    calls = rng.random(len(clients)) < p["share_with_agents_phone"]
    people.phone[clients[calls]] = people.phone[agent[calls]]
