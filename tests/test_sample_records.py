"""The made-up jurisdiction: rows of the schema, the same bytes for a seed, evaders, honest look-alikes, and the truth."""

import csv
import datetime
import json
from collections import Counter

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner

from thresher.catalog import chip, chips
from thresher.cli.sample_records import sample_records as command
from thresher.cli.shared import Commands
from thresher.errors import InputError
from thresher.records.samples import read_truth, sample_records
from thresher.records.samples._tables import parameters, rows
from thresher.records.samples.places import great_circle_km
from thresher.records.schema import tables
from thresher.regime import ClusterRow, load_regime

SQL = {
    "text": "VARCHAR",
    "choice": "VARCHAR",
    "count": "BIGINT",
    "number": "DOUBLE",
    "amount": "DOUBLE",
    "share": "DOUBLE",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "date": "DATE",
    "month": "VARCHAR",
    "timestamp": "TIMESTAMP",
}


class Records:
    """A folder of sample records: its summary, its truth, and SQL over its tables."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.summary = sample_records(folder, **options)
        self.truth = read_truth(folder)
        self.database = duckdb.connect()
        for name, columns in tables().items():
            types = "{" + ", ".join(f"'{one.name}': '{SQL[one.type]}'" for one in columns) + "}"
            self.database.execute(
                f"CREATE TABLE {name} AS FROM read_csv('{folder}/{name}.csv', columns={types}, header=true)"
            )
        for name in ("parties", "operators", "purchases", "controllers"):
            self.database.register(f"true_{name}", getattr(self.truth, name))

    def ask(self, sql):
        return self.database.execute(sql).fetchall()

    def count(self, sql):
        return self.ask(sql)[0][0]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return Records(tmp_path_factory.mktemp("sample"), seed=3, parties=2000, evaders=10)


def test_columns_are_those_of_the_schema(records):
    for name, columns in tables().items():
        with (records.folder / f"{name}.csv").open(encoding="utf-8") as file:
            assert next(csv.reader(file)) == [one.name for one in columns]


def test_cells_are_of_their_type_and_needed_ones_are_there(records):
    for name, columns in tables().items():
        assert records.count(f"SELECT count(*) FROM {name}") == records.summary.rows[name] > 0
        for one in columns:
            cell = f'"{one.name}"'
            if one.needed:
                assert records.count(f"SELECT count(*) FROM {name} WHERE {cell} IS NULL") == 0, (name, one.name)
            if one.choices:
                found = {
                    word for (word,) in records.ask(f"SELECT DISTINCT {cell} FROM {name} WHERE {cell} IS NOT NULL")
                }
                assert found <= set(one.choices), (name, one.name)
            if one.type in ("amount", "count", "share"):
                assert records.count(f"SELECT count(*) FROM {name} WHERE {cell} < 0") == 0, (name, one.name)
    assert records.count("SELECT count(*) FROM ownership WHERE share > 1") == 0
    assert records.count("SELECT count(*) FROM sites WHERE abs(latitude) > 90 OR abs(longitude) > 180") == 0
    assert records.count("SELECT count(*) FROM power WHERE NOT regexp_full_match(month, '\\d{4}-\\d{2}')") == 0
    assert records.count("SELECT count(*) FROM pings WHERE (serial IS NULL) = (site IS NULL)") == 0


def test_ids_are_there_once_and_references_lead_somewhere(records):
    for table, column in (("parties", "party"), ("sites", "site"), ("chips", "serial"), ("purchases", "id")):
        assert records.count(f"SELECT count(*) - count(DISTINCT {column}) FROM {table}") == 0
    for name, columns in tables().items():
        for one in columns:
            if one.refers_to:
                table, key = one.refers_to.split(".")
                lost = f'SELECT DISTINCT "{one.name}" FROM {name} WHERE "{one.name}" NOT IN (SELECT {key} FROM {table})'
                mistyped = records.truth.mistakes["serials_mistyped"] if table == "chips" else []
                assert {value for (value,) in records.ask(lost)} <= set(mistyped), (name, one.name)


def test_nothing_is_dated_after_the_records_end_nor_before_a_chip_is_made(records):
    end = "DATE '2026-06-30'"
    for table, column in (("custody", "at"), ("purchases", "date"), ("declarations", "declared_on"), ("pings", "at")):
        assert records.count(f'SELECT count(*) FROM {table} WHERE "{column}" > {end}') == 0
    early = 'FROM custody JOIN chips USING (serial) WHERE manufactured_on > "at"'
    assert records.count(f"SELECT count(*) {early}") == 0
    released = [(one.chip, one.release_date) for one in chips().values() if len(one.release_date) == 10]
    for name, day in released:
        assert (
            records.count(f"SELECT count(*) FROM chips WHERE chip = '{name}' AND manufactured_on < DATE '{day}'") == 0
        )


def test_rows_are_in_proportion_to_parties(records):
    found = records.summary.rows
    assert found["parties"] == 2000
    assert found["chips"] == pytest.approx(5 * 2000, rel=0.1)
    assert found["custody"] == pytest.approx(25 * 2000, rel=0.15)
    assert found["purchases"] == pytest.approx(5 * 2000, rel=0.1)
    companies = records.count("SELECT count(*) FROM parties WHERE kind = 'company'")
    interests = dict(records.ask("SELECT interest = 'officer', count(*) FROM ownership GROUP BY 1"))
    assert interests[False] == pytest.approx(companies, rel=0.25)
    assert interests[True] == pytest.approx(companies, rel=0.25)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        sample_records(tmp_path / name, seed=seed, parties=400, evaders=2)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
        assert path.read_bytes() != (tmp_path / "c" / path.name).read_bytes(), path.name


def test_parquet_holds_the_rows_of_csv(tmp_path):
    sample_records(tmp_path / "csv", parties=400, evaders=2)
    sample_records(tmp_path / "parquet", parties=400, evaders=2, file_format="parquet")
    database = duckdb.connect()
    for name, columns in tables().items():
        types = "{" + ", ".join(f"'{one.name}': '{SQL[one.type]}'" for one in columns) + "}"
        left = f"FROM read_csv('{tmp_path}/csv/{name}.csv', columns={types}, header=true)"
        right = f"FROM '{tmp_path}/parquet/{name}.parquet'"
        assert database.execute(f"SELECT count(*) FROM (({left}) EXCEPT ALL ({right}))").fetchall() == [(0,)], name
        assert database.execute(f"SELECT count(*) FROM (({right}) EXCEPT ALL ({left}))").fetchall() == [(0,)], name


def holdings(actor, together):
    """Its chips as rows of clusters: each site for itself, or one cluster that works together."""
    held = actor["holdings"]
    for site, name, count in zip(held["site"], held["chip"], held["count"], strict=True):
        cluster = actor["owner"] if together else site
        yield ClusterRow(cluster, chip(name), count, site, actor["owner"], 10.0, True if together else None)


def test_each_evader_is_over_the_line_and_each_of_its_sites_is_under_it(records):
    regime = load_regime("miri-2025")
    assert len(records.truth.evaders) == 10
    for evader in records.truth.evaders:
        alone = regime.classify(list(holdings(evader, together=False)))
        assert len(alone) >= 2
        assert not any(one.covered for one in alone), evader["style"]
        (together,) = regime.classify(list(holdings(evader, together=True)))
        assert together.covered, evader["style"]
        assert together.clauses[0].value / 16 == pytest.approx(evader["times_the_line"], abs=0.01)
        assert evader["times_the_line"] > 3
        assert evader["most_at_one_site"] <= 1
        assert 0 < evader["serials"] <= evader["chips"] == sum(evader["holdings"]["count"])


def test_near_misses_are_what_they_are_called(records):
    by_kind = {}
    for one in records.truth.near_misses:
        by_kind.setdefault(one["style"], []).append(one)
    assert set(by_kind) == {row["actor"] for row in rows("actors")}
    for kind in ("university", "corporate_group", "lessor"):
        assert max(one["times_the_line"] for one in by_kind[kind]) > 1
        assert all(one["most_at_one_site"] <= 1 for one in by_kind[kind])
    assert all(one["times_the_line"] > 10 for one in by_kind["cloud"])
    assert all(0.8 <= one["times_the_line"] <= 1 for one in by_kind["once_buyer"])
    held = sum(one["chips"] for one in by_kind["reseller"])
    sellers = [one["owner"] for one in by_kind["reseller"]]
    sold = records.count(f"SELECT sum(chips) FROM true_purchases WHERE list_contains({sellers}, seller)")
    assert sold > 3 * held


def test_ten_seeds_of_five_evaders_show_every_style():
    styles = [row["style"] for row in rows("styles")]
    shown = Counter(styles[(seed * 5 + number) % len(styles)] for seed in range(1, 11) for number in range(5))
    assert set(shown) == set(styles)
    assert min(shown.values()) == max(shown.values())


def test_the_truth_names_everybody(records):
    assert records.count("SELECT count(*) FROM parties ANTI JOIN true_parties USING (party)") == 0
    assert records.count("SELECT count(*) FROM sites ANTI JOIN true_operators USING (site)") == 0
    assert records.count("SELECT count(*) FROM purchases ANTI JOIN true_purchases USING (id)") == 0
    assert records.count("SELECT count(*) FROM true_purchases WHERE entity IS NULL OR seller IS NULL") == 0
    assert records.truth.parties.num_rows == 2000
    second = 2000 - records.count("SELECT count(DISTINCT entity) FROM true_parties")
    assert second == round(parameters()["share_second_entries"] * 2000)
    companies = "parties JOIN true_parties USING (party) WHERE kind = 'company'"
    assert records.count(f"SELECT count(*) FROM ({'FROM ' + companies}) ANTI JOIN true_controllers USING (entity)") == 0


def test_the_truth_of_purchases_is_that_of_their_words(records):
    """A catalog's name in the words is that of the true chip, and the pieces divide the chips."""
    wrong = """SELECT count(*) FROM purchases JOIN true_purchases USING (id)
        WHERE chip = 'H100-SXM' AND description NOT LIKE '%H100%'"""
    assert records.count(wrong) == 0
    assert records.count("SELECT count(*) FROM true_purchases WHERE (chip IS NULL) <> (chips = 0)") == 0
    odd = """SELECT count(*) FROM purchases JOIN true_purchases USING (id)
        WHERE chips > 0 AND quantity IS NOT NULL AND (quantity = 0 OR chips % quantity <> 0)"""
    assert records.count(odd) == 0
    assert records.count("SELECT count(*) FROM true_purchases WHERE chip IS NULL") > 1000
    assert records.count("SELECT count(DISTINCT description) FROM purchases") > 0.8 * len(rows("goods"))


def test_controllers_are_at_the_end_of_their_chain(records):
    owners = dict(zip(*records.truth.controllers.to_pydict().values(), strict=True))
    assert all(owners.get(owner, owner) == owner for owner in owners.values())
    for evader in records.truth.evaders:
        companies = [one for one in evader["entities"] if one in owners]
        assert companies
        assert {owners[one] for one in companies} == {evader["owner"]}


def test_planted_signs_can_be_seen_in_the_records(records):
    for kind, found in records.truth.anomalies.items():
        assert found, kind
    cloned = records.truth.anomalies["serials_cloned"]
    twice = f"SELECT serial FROM custody WHERE event = 'install' AND list_contains({cloned}, serial) GROUP BY 1"
    assert records.count(f"SELECT count(*) FROM ({twice} HAVING count(DISTINCT site) > 1)") == len(cloned)
    reborn = records.truth.anomalies["serials_after_destruction"]
    after = f"""SELECT count(DISTINCT b.serial) FROM custody a JOIN custody b USING (serial)
        WHERE a.event = 'destroy' AND b.event = 'install' AND b."at" > a."at" AND list_contains({reborn}, serial)"""
    assert records.count(after) == len(reborn)
    for site in records.truth.anomalies["sites_undeclared"]:
        assert records.count(f"SELECT count(*) FROM declarations WHERE site = '{site}'") == 0
    unannounced = {serial for serial, _ in records.truth.anomalies["transfers_without_notice"]}
    silent = "SELECT DISTINCT serial FROM custody WHERE event IN ('sale', 'transfer') AND notified_on IS NULL"
    late = "SELECT DISTINCT serial FROM custody WHERE date_diff('day', notified_on, \"at\"::DATE) < 14"
    assert unannounced <= {one for (one,) in records.ask(silent)} | {one for (one,) in records.ask(late)}
    structured = records.truth.anomalies["purchases_structured"]
    shares = records.ask(f"SELECT chip, chips FROM true_purchases WHERE list_contains({structured}, id)")
    regime = load_regime("miri-2025")
    for name, count in shares:
        value = float(next(iter(regime.measure_nodes(chip(name), np.array([count])).values())).value[0])
        assert 0.65 * 16 < value <= 16


def contradictions(records):
    """Sites that answered faster than light in glass could come from their stated place."""
    found = set()
    pings = records.ask(
        "SELECT site, s.latitude, s.longitude, p.latitude, p.longitude, rtt_ms FROM pings p JOIN sites s USING (site)"
    )
    for site, *stated, latitude, longitude, rtt in pings:
        if None not in stated and great_circle_km(*map(np.array, (*stated, latitude, longitude))) > rtt / 2 * 200:
            found.add(site)
    return found


def test_pings_contradict_the_stated_place_where_it_is_wrong_and_nowhere_else(records):
    found = contradictions(records)
    elsewhere = set(records.truth.anomalies["sites_elsewhere"])
    wrong = set(records.truth.mistakes["sites_with_wrong_coordinates"])
    assert found <= elsewhere | wrong
    answered = {
        site
        for (site,) in records.ask(
            "SELECT DISTINCT site FROM pings JOIN sites s USING (site) WHERE s.latitude IS NOT NULL"
        )
    }
    assert len(found & elsewhere) > 0.9 * len(elsewhere & answered)


def test_honest_parties_err_too(records):
    for kind, found in records.truth.mistakes.items():
        assert found, kind
    planted = {serial for serial, _ in records.truth.anomalies["transfers_without_notice"]}
    silent = {
        one
        for (one,) in records.ask(
            "SELECT serial FROM custody WHERE event IN ('sale', 'transfer') AND notified_on IS NULL"
        )
    }
    assert len(silent - planted) > 100


def test_no_shell_holds_chips_before_it_is_founded(records):
    early = """SELECT count(*) FROM custody c JOIN parties p ON c.to_party = p.party
        WHERE event = 'install' AND incorporated_on > "at" """
    assert records.count(early) == 0


def test_names_come_in_several_scripts_and_are_written_in_several_ways(records):
    names = "\n".join(name for (name,) in records.ask("SELECT name FROM parties"))
    for script in ("ООО ", "有限公司", "شركة", "株式会社", "GmbH", "Sp. z o.o."):
        assert script in names
    spellings = """SELECT avg(n) FROM (SELECT count(DISTINCT buyer_name) n FROM purchases JOIN true_purchases USING (id)
        GROUP BY entity HAVING count(*) > 5)"""
    assert 2 < records.count(spellings) < 6
    brands = "SELECT count(*) FROM (SELECT name FROM parties WHERE kind = 'person' GROUP BY 1 HAVING count(*) > 1)"
    assert records.count(brands) > 3


def test_a_shared_address_alone_means_little(records):
    crowd = "SELECT max(n) FROM (SELECT count(*) n FROM parties WHERE kind = 'company' GROUP BY address)"
    assert records.count(crowd) > 10
    hired = "SELECT max(n) FROM (SELECT count(*) n FROM ownership WHERE interest = 'officer' GROUP BY owner)"
    assert records.count(hired) > 15


def test_another_end_of_the_records(tmp_path):
    made = Records(tmp_path / "later", parties=400, evaders=1, as_of=datetime.date(2027, 3, 15))
    assert made.count("SELECT max(date) FROM purchases") < datetime.date(2027, 3, 15)
    assert made.truth.inputs == {"seed": 1, "parties": 400, "evaders": 1, "as_of": "2027-03-15"}


def test_without_evaders_nothing_is_planted(tmp_path):
    made = Records(tmp_path / "honest", parties=400, evaders=0)
    assert made.truth.evaders == []
    assert not any(made.truth.anomalies.values())


@pytest.mark.parametrize(
    "options",
    [
        {"parties": 399},
        {"parties": 3_000_000},
        {"parties": 2000.0},
        {"evaders": -1},
        {"evaders": 26},
        {"seed": -1},
        {"file_format": "xlsx"},
        {"as_of": datetime.date(2020, 1, 1)},
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(InputError):
        sample_records(tmp_path / "none", **options)
    assert not (tmp_path / "none").exists()


def test_a_folder_that_holds_files_is_refused_unless_forced(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="--force"):
        sample_records(tmp_path, parties=400, evaders=0)
    sample_records(tmp_path, parties=400, evaders=0, file_format="parquet", force=True)
    sample_records(tmp_path, parties=400, evaders=0, force=True)
    assert (tmp_path / "note.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {
        "note.txt",
        "truth.json",
        *(f"{name}.csv" for name in tables()),
    }
    with pytest.raises(InputError, match="not a file"):
        sample_records(tmp_path / "note.txt", parties=400, evaders=0)


def run(*arguments):
    group = Commands("thresher")
    group.add_command(command)
    return CliRunner().invoke(group, ["sample-records", *map(str, arguments)])


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path):
    done = run(tmp_path / "records", "--parties", "400", "--evaders", "2")
    assert done.exit_code == 0
    assert "custody" in done.output
    assert "near-miss" in done.output
    assert f"thresher import {tmp_path / 'records'} --store" in done.output
    again = run(tmp_path / "records", "--parties", "400")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    told = json.loads(run(tmp_path / "records", "--parties", "400", "--evaders", "2", "--force", "--json", "-").stdout)
    assert told["rows"]["parties"] == 400
    assert sum(told["evaders"].values()) == 2


@pytest.mark.parametrize(
    "arguments", [("--parties", "many"), ("--evaders", "-3"), ("--seed", "1.5"), ("--format", "xls")]
)
def test_the_command_refuses_with_one_sentence(tmp_path, arguments):
    done = run(tmp_path / "records", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("thresher: ")
    assert done.stderr.count("\n") == 1
