"""Every place where the records name somebody: parties, buyers, sellers, operators; with the keys they are compared by."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from thresher.screening.engine import Engine
from thresher.screening.resolution.names import address_key, keys_of, phone_key, registration_key

PARTY_FIELDS = ("name", "kind", "country", "address", "registration", "phone", "email")
TEXT_FIELDS = ("role", "name", "address", "country")
_END = 6
"""Letters of the beginning and the end of a name that bring its spellings together."""
_UNKNOWN_KINDS = ("unknown", "agency")


def party_mentions(engine: Engine) -> pa.Table:
    """The register's descriptions of its parties: ``mention, party`` and `PARTY_FIELDS`; an id described twice has two."""
    described = engine.table("parties").select("party", *PARTY_FIELDS).distinct()
    found = _sorted(described, ("party", *PARTY_FIELDS))
    seen: Counter[str] = Counter()
    names = []
    for party in found["party"].to_pylist():
        seen[party] += 1
        names.append(f"party:{party}" if seen[party] == 1 else f"party:{party}#{seen[party]}")
    return found.add_column(0, "mention", pa.array(names, pa.string()))


def text_mentions(engine: Engine) -> pa.Table:
    """Buyers, sellers and operators in free text: ``mention`` and `TEXT_FIELDS`, one for each distinct text.

    A text that is itself the id of a party needs no linking; `mention_party` names that party.
    """
    purchases, sites = engine.table("purchases"), engine.table("sites")
    nothing = ibis.null("string")
    buyers = purchases.select(
        role=ibis.literal("buyer"),
        name=purchases.buyer_name,
        address=purchases.buyer_address,
        country=purchases.buyer_country,
    )
    named = [
        table.select(role=ibis.literal("name"), name=table[column], address=nothing, country=nothing)
        for table, column in ((purchases, "seller"), (sites, "operator"))
    ]
    texts = ibis.union(buyers, *named)
    found = _sorted(texts.filter(texts.name.notnull()).distinct(), TEXT_FIELDS)
    rows = zip(*(found[name].to_pylist() for name in TEXT_FIELDS), strict=True)
    names = [f"{row[0]}:{_digest(row[1:])}" for row in rows]
    return found.add_column(0, "mention", pa.array(names, pa.string()))


def _sorted(expression: ibis.Table, names: Sequence[str]) -> pa.Table:
    """Rows as Arrow text columns in an order of their own, the same from every engine."""
    found = expression.to_pyarrow()
    found = pa.table({name: found[name].cast(pa.string()) for name in found.column_names})
    return found.sort_by([(name, "ascending") for name in names])


def _digest(texts: Sequence[str | None]) -> str:
    whole = "\x1f".join("\x00" if text is None else text for text in texts)
    return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()


def comparable(parties: pa.Table, texts: pa.Table, *, largest_block: int) -> pa.Table:
    """All mentions with the keys that are compared and those that bring candidates together.

    Parameters
    ----------
    parties, texts
        From `party_mentions` and `text_mentions`.
    largest_block
        A candidate key shared by more mentions than this is dropped.

    Returns
    -------
    A table with ``unique_id``, a column for each thing that is compared (``name`` to ``kind``), and the keys, whose names
    begin with ``block``.
    """
    whole = pa.concat_tables([parties.drop(["party"]), texts.drop(["role"])], promote_options="default")
    keys = keys_of(whole["name"])
    addresses = _each(whole["address"], address_key)
    columns: dict[str, Any] = {
        "unique_id": whole["mention"].combine_chunks(),
        "name": keys["key"],
        "words": keys["words"],
        "word_list": _several_words(keys["words"]),
        "sound": keys["sound"],
        "initial": keys["initial"],
        "numbers": pc.fill_null(keys["numbers"], ""),
        "form": keys["form"],
        "country": pc.utf8_upper(whole["country"]).combine_chunks(),
        "address": addresses,
        "address_words": pc.split_pattern(addresses, " "),
        "house": _each(addresses, _house),
        "registration": _each(whole["registration"], registration_key),
        "phone": _each(whole["phone"], phone_key),
        "email": pc.utf8_lower(whole["email"]).combine_chunks(),
        "kind": pa.array([None if kind in _UNKNOWN_KINDS else kind for kind in whole["kind"].to_pylist()], pa.string()),
    }
    columns |= _candidate_keys(columns, largest_block)
    return pa.table(columns)


def _each(column: pa.ChunkedArray | pa.Array, key: Callable[[str], str]) -> pa.Array:
    """The key of each text, worked out once for each different one; null for what has none."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = whole.dictionary_encode()
    keys = pa.array([key(text) or None for text in coded.dictionary.to_pylist()], pa.string())
    return keys.take(coded.indices)


def _several_words(words: pa.Array) -> pa.Array:
    """The words of each name as a list; null for a name of one word, which is in too many others."""
    several = pc.match_substring(words, " ")
    return pc.split_pattern(pc.if_else(several, words, pa.scalar(None, pa.string())), " ")


def _house(address: str) -> str:
    """The number of the house: the shortest of an address's numbers, for a postcode is longer."""
    return min((word for word in address.split() if word[0].isdigit()), key=len, default="")


def _street_and_house(address: str) -> str:
    """An address without its postcode."""
    house = _house(address)
    return " ".join([house, *(word for word in address.split() if not word[0].isdigit())]) if house else ""


def _candidate_keys(columns: dict[str, pa.Array], largest_block: int) -> dict[str, pa.Array]:
    """Keys of which two mentions must share one to be compared at all."""
    name, country = columns["name"], pc.fill_null(columns["country"], "")
    long = pc.greater_equal(pc.utf8_length(name), _END)
    front = pc.if_else(long, pc.utf8_slice_codeunits(name, 0, _END), None)
    back = pc.if_else(long, pc.utf8_slice_codeunits(name, -_END), None)
    wide = {
        "block_name": name,
        "block_sound": _joined(columns["sound"], country),
        "block_initial": _joined(columns["initial"], country),
        "block_front": _joined(front, country),
        "block_back": _joined(back, country),
        "block_word": _rarest_words(columns["words"]),
        "block_front_anywhere": front,
        "block_back_anywhere": back,
        "block_place": _each(columns["address"], _street_and_house),
        "block_registration": columns["registration"],
        "block_phone": columns["phone"],
        "block_email": columns["email"],
    }
    # a name or a place that many share still brings together those that share both
    narrow = {
        "block_name_place": _joined(name, columns["address"]),
        "block_name_country": _joined(name, columns["country"]),
    }
    return {key: _without_large(values, largest_block) for key, values in (wide | narrow).items()}


def _joined(*parts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "|")


def _rarest_words(words: pa.Array) -> pa.Array:
    """The word of each name that the fewest names have."""
    split = [text.split() if text else [] for text in words.to_pylist()]
    often = Counter(word for one in split for word in one)
    return pa.array([min(one, key=lambda word: (often[word], word)) if one else None for one in split], pa.string())


def _without_large(values: pa.Array, largest: int) -> pa.Array:
    coded = values.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    known = ~np.isnan(codes) if codes.dtype.kind == "f" else np.ones(len(codes), dtype=bool)
    numbers = np.where(known, codes, 0).astype(np.int64)
    sizes = np.bincount(numbers[known], minlength=len(coded.dictionary))
    keep = known & (sizes[numbers] <= largest) & (sizes[numbers] > 1) if len(sizes) else known
    return pc.if_else(pa.array(keep), values, pa.scalar(None, pa.string()))


def parties_in(mentions: pa.Table) -> int:
    """How many of the mentions are parties of the register."""
    return int(pc.sum(_is_party(mentions)).as_py() or 0)


def _is_party(mentions: pa.Table) -> pa.ChunkedArray:
    """Whether a mention is a party; the further descriptions of one do not count again."""
    return pc.and_(
        pc.starts_with(mentions["unique_id"], "party:"), pc.invert(pc.match_substring(mentions["unique_id"], "#"))
    )


def frequencies(mentions: pa.Table, *, population: int, one_holder: float) -> dict[str, pa.Table]:
    """How frequent each name, address, telephone and electronic address is among the parties.

    Parameters
    ----------
    mentions
        From `comparable`.
    population
        Parties that the values are rated among where the register has fewer: in a small one every value looks frequent.
    one_holder
        What a value of a single party counts as, in parties: that party may be the very one that another mention means.

    Returns
    -------
    Tables ``<column>, tf_<column>`` by column.
    """
    whole = max(parties_in(mentions), population)
    registered = mentions.filter(_is_party(mentions))
    found = {}
    for column in ("name", "address", "phone", "email"):
        values = pc.unique(mentions[column].drop_null())
        counts = dict(zip(*(one.tolist() for one in pc.value_counts(registered[column]).flatten()), strict=True))
        rated = [max(counts.get(value, 0) - 1, one_holder) / whole for value in values.to_pylist()]
        found[column] = pa.table({column: values, f"tf_{column}": pa.array(rated, pa.float64())})
    return found
