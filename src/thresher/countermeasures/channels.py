"""The channels of detection: each a small function of footprint, programme and parameters, giving a hazard a year.

Columns of a case and settings of a programme broadcast with draws of the parameters. Every hazard that leads must be followed
for is proportional to the settings that bring the leads, so that no setting makes a lead worth less; what a channel cannot
see is said in ``data/countermeasures.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from scipy import special

from thresher.arrays import Array, namespace
from thresher.countermeasures import leaks
from thresher.countermeasures.competing_risks import before_frailty
from thresher.countermeasures.location import contradiction_share, distance_bound_km
from thresher.countermeasures.parameters import table
from thresher.countermeasures.programmes import settings
from thresher.sampling import hits_per_year
from thresher.simulation.cost import DAYS_PER_YEAR

Columns = Mapping[str, Array]
PHASES = ("procure", "install", "train", "hold")
PEOPLE_OF_INTELLIGENCE = 1000.0
"""The size of programme that ``intelligence_events_per_year`` is given for."""
NO_TRAFFIC = 1e-9
MOST_CHIPS = 1e12
"""A line that no owner crosses, where a rule has none."""


@cache
def channels() -> dict[str, Mapping[str, str]]:
    """Every channel: its countermeasure, title, and how much there is for it to see in each phase."""
    return {row["channel"]: row for row in table("channels.csv")}


def phase_years(f: Columns, p: Columns) -> list[Array]:
    """The length of each phase in years."""
    days = (
        p["procurement_days"] * f["route_procurement"], p["install_days"], f["duration_days"], p["hold_days"],
    )  # fmt: skip
    return [length / DAYS_PER_YEAR for length in days]


# People


def who_knows(f: Columns, p: Columns) -> dict[str, Array]:
    """People by what they know: the whole purpose, a part of it, or no more than that there is a site."""
    kept = 1.0 - f["compartments"] * (1.0 - p["compartments_knowing_factor"])
    fully = f["people_core"] * p["core_knowing_share"] * kept
    operators = f["people"] - f["people_core"]
    operators_partly = operators * p["operators_partly_share"] * kept
    suppliers = f["sites"] * p["suppliers_per_site"] * f["route_own_site"]
    return {
        "fully": fully,
        "partly": f["people_core"] - fully + operators_partly,
        "not": operators - operators_partly + suppliers,
        "core_partly": f["people_core"] - fully,
        "suppliers": suppliers,
    }


def leaks_by_phase(f: Columns, p: Columns) -> tuple[list[Array], list[Array]]:
    """The hazard of a leak with no programme, phase by phase, and that of being identified as covert programmes were: one of
    them is nothing in each draw, which has one member of the ensemble."""
    xp = namespace(f["people"], p["leak_model"])
    knows = who_knows(f, p)
    partly, little = p["leak_weight_partly"], p["leak_weight_unknowing"]
    buying = knows["fully"] + partly * knows["core_partly"] + little * knows["suppliers"]
    running = knows["fully"] + partly * knows["partly"] + little * knows["not"]
    weight = p["ensemble_grimes"] + p["ensemble_identification"] + p["ensemble_insider"]
    first, second = p["ensemble_grimes"] / weight, (p["ensemble_grimes"] + p["ensemble_identification"]) / weight
    by_number, by_curve = p["leak_model"] < first, (p["leak_model"] >= first) & (p["leak_model"] < second)
    talk, found = [], _identification_by_phase(f, p)
    for people in (buying, running, running, running):
        insiders = xp.where(by_curve, 0.0, p["insider_events_per_project_year"] + 0.0 * people)
        talk.append(xp.where(by_number, leaks.leaks_per_year(people, p["leak_rate"]), insiders))
    return talk, [xp.where(by_curve, rate, 0.0 * rate) for rate in found]


def _identification_by_phase(f: Columns, p: Columns) -> list[Array]:
    """What the curve of identified programmes adds in each phase, as a constant rate: exact at the ends of phases.

    The curve is the survival of a population, so its hazard is that under the shared frailty whose mean is the curve.
    """
    workers = namespace(f["people"]).maximum(f["people"], 2.0 + 0.0 * f["people"])
    shape, mean = leaks.identification_shape_and_mean(workers, p)
    rates, before, end = [], 0.0, 0.0
    for years in phase_years(f, p):
        end = end + years
        hazard = leaks.identification_cumulative_hazard(end + 0.0 * mean, shape, mean)
        after = before_frailty(hazard, p["frailty_variance"])
        rates.append((after - before) / years)
        before = after
    return rates


# Chips and their paper


def misplaced_chips(f: Columns, s: Columns, p: Columns) -> Array:
    """Chips of the plan that the register still follows, and has in the wrong place or the wrong hands."""
    trace = p["trace_without_serials"] + s["foundry_serialisation"] * (
        p["trace_with_serials"] - p["trace_without_serials"]
    )
    new = f["route_after_rule"] * s["registry_new"] * trace
    old = (1.0 - f["route_after_rule"]) * s["registry_old"] * p["trace_without_serials"]
    return f["chips"] * f["route_registrable"] * (new + old) * p["misplaced_share"]


def companies(f: Columns, p: Columns) -> Array:
    """Companies on paper that sign for the sites, at least one."""
    shells = f["route_own_site"] * f["sites"] / p["sites_per_shell"]
    return namespace(shells).maximum(shells, 1.0 + 0.0 * shells)


def register_checks(f: Columns, s: Columns, p: Columns) -> Array:
    """Inspectors look for chips of the register where it has them."""
    return hits_per_year(misplaced_chips(f, s, p), p["registered_chips"], s["register_checks"], to_the_whole(f, p))


def reconciliation(f: Columns, s: Columns, p: Columns) -> Array:
    """Holders are asked to account for their chips; some are seen to be short, at the first round or never."""
    xp = namespace(f["chips"], p["reconciliation_catch"])
    short = xp.minimum(companies(f, p), misplaced_chips(f, s, p))
    seen = -xp.expm1(short * xp.log1p(-p["reconciliation_catch"]))
    return s["reconciliations"] * _so(p["reconciliation_luck"] < seen, to_the_whole(f, p))


def location_checks(f: Columns, s: Columns, p: Columns) -> Array:
    """Chips answer a landmark too soon for where they are declared, at the first check or never; only a contradiction is
    evidence."""
    xp = namespace(f["chips"], p["displacement_km"])
    new = f["chips"] * f["route_registrable"] * f["route_after_rule"] * s["registry_new"] * p["misplaced_share"]
    resolution = distance_bound_km(p["location_landmark_ms"], p["light_km_per_ms_fibre"])
    contradicts = contradiction_share(resolution, p["displacement_km"])
    seen = -xp.expm1(xp.minimum(new, f["sites"] + 0.0 * new) * xp.log1p(-contradicts))
    return s["location_checks"] * _so(p["location_luck"] < seen, to_the_whole(f, p))


def stings(f: Columns, s: Columns, p: Columns) -> Array:
    """A purchase on a grey market is made from the authority itself; spread over the time of buying."""
    met = p["sting_meets_buyer"] * f["route_grey"] * purchases(f) / phase_years(f, p)[0]
    return s["stings"] * met * to_the_whole(f, p)


def activation_gates(f: Columns, s: Columns, p: Columns) -> Array:
    """Each company on paper asks leave for its new chips to go on, under a false name and use; a provider of rented chips in
    its own."""
    asked = f["route_own_site"] * companies(f, p) * p["activation_renewals_per_year"]
    return s["activation_gates"] * f["route_after_rule"] * asked * p["activation_catch"] * to_the_whole(f, p)


def attestation(f: Columns, s: Columns, p: Columns) -> Array:
    """New chips attest to what they ran, node by node, which is a share of a larger run."""
    return s["attestation"] * f["route_after_rule"] * f["nodes"] * p["attestation_catch"] * to_the_whole(f, p)


# Purchases, contracts and money


def purchases(f: Columns) -> Array:
    """How many purchases the chips take."""
    return f["route_bought"] * f["chips"] / f["chips_per_purchase"]


def tied_together(number: Array, needed: Array, recall: Array) -> Array:
    """The chance that a review ties a given record of one owner to at least ``needed`` - 1 of its others: binomial with the
    recall.

    Counts need not be whole; where there are fewer than are needed there is none.
    """
    xp = namespace(number, needed, recall)
    nothing = 0.0 * (number + needed + recall)
    others, wanted = xp.maximum(number - 1.0, nothing), xp.maximum(needed - 1.0, nothing)
    enough = (others >= wanted) & (wanted > 0.0)
    successes = xp.where(enough, wanted, 1.0 + nothing)
    tied = special.betainc(successes, xp.where(enough, others, 1.0 + nothing) - successes + 1.0, recall + nothing)
    return xp.where(
        wanted > 0.0, xp.where(enough, tied, nothing), xp.where(number >= 1.0, 1.0 + nothing, number + nothing)
    )


def record_linkage(f: Columns, s: Columns, p: Columns) -> Array:
    """Reviews of records of sales tie enough of one owner's purchases together to exceed what the rule lets one site have.

    A single purchase over the line, or so large that sellers report it, needs no tying. Tied and believed at the first review
    or never.
    """
    xp = namespace(f["chips"], p["link_followed_share"])
    recorded = purchases(f) * f["route_recorded"] * s["purchase_records"]
    line = xp.minimum(f["line_chips"], MOST_CHIPS + 0.0 * recorded)
    needed = xp.ceil(xp.minimum(line, p["chips_per_purchase_reported"] + 0.0 * line) / f["chips_per_purchase"])
    needed = xp.where(needed > 1.0, xp.ceil(line / f["chips_per_purchase"]), needed)
    seen = tied_together(recorded, needed, s["linkage_recall"]) * p["link_followed_share"]
    return s["record_reviews"] * _so(p["purchase_luck"] < seen, 1.0)


def contract_linkage(f: Columns, s: Columns, p: Columns) -> Array:
    """Reviews of leases, power bills and lines tie two sites of one owner together, which are over the line as one."""
    recorded = f["sites"] * f["route_own_site"] * s["utility_records"]
    several = 2.0 + 0.0 * recorded
    seen = tied_together(recorded, several, s["linkage_recall"]) * p["link_followed_share"]
    return s["record_reviews"] * _so(p["contract_luck"] < seen, 1.0)


def financial_audits(f: Columns, s: Columns, p: Columns) -> Array:
    """One of the companies on paper is audited, and the audit sees what it is for."""
    return s["financial_audits"] * companies(f, p) * p["audit_catch"] * to_the_whole(f, p)


# Sites


def to_the_whole(f: Columns, p: Columns) -> Array:
    """How often a finding about one site, chip, purchase or account leads to the programme; a single site is the programme."""
    xp = namespace(f["sites"], p["piece_leads_to_whole"])
    return xp.where(f["sites"] > 1.0, p["piece_leads_to_whole"] + 0.0 * f["sites"], 1.0)


def challenge_inspections(f: Columns, s: Columns, p: Columns) -> Array:
    """Inspectors call at places where a site on premises of its own might stand."""
    hidden = f["sites"] * f["route_own_site"] * (1.0 - f["colocated"])
    known = p["site_recognised"] * to_the_whole(f, p)
    return hits_per_year(hidden, p["candidate_sites"], s["challenge_inspections"], known)


def routine_inspections(f: Columns, s: Columns, p: Columns) -> Array:
    """Inspectors of known facilities come upon a site in one of them."""
    hidden = f["sites"] * f["route_own_site"] * f["colocated"]
    known = p["site_recognised"] * to_the_whole(f, p)
    return hits_per_year(hidden, p["known_facilities"], s["routine_inspections"], known)


def energy_monitoring(f: Columns, s: Columns, p: Columns) -> Array:
    """Meters show a load that no one explains: half of the sites of the half size in a year, ever fewer of smaller ones,
    which drown among shops and offices; and none in a known facility, whose own load hides it."""
    xp = namespace(f["power_kw_per_site"], p["energy_half_mw"])
    size = xp.exp(xp.log(1e-3 * f["power_kw_per_site"] / p["energy_half_mw"]) * p["energy_steepness"])
    own_meter = f["sites"] * f["route_own_site"] * (1.0 - f["colocated"])
    return s["energy_monitoring"] * own_meter * xp.log1p(size) * to_the_whole(f, p)


def _stands_out(f: Columns, p: Columns) -> Array:
    """How far a site's flow stands out, by its mean upload and by how alike both directions are."""
    up, down = f["mean_upload_mbps_per_node"], f["mean_download_mbps_per_node"]
    xp = namespace(up, down)
    alike = xp.minimum(up, down) / xp.maximum(xp.maximum(up, down), NO_TRAFFIC + 0.0 * up)
    return alike * up / (up + p["traffic_half_mbps"])


def traffic_known_sites(f: Columns, s: Columns, p: Columns) -> Array:
    """Steady symmetric flows out of known facilities."""
    known = f["sites"] * f["route_own_site"] * f["colocated"] * to_the_whole(f, p)
    return s["traffic_known_sites"] * known * p["traffic_flag_rate_known"] * _stands_out(f, p)


def traffic_providers(f: Columns, s: Columns, p: Columns) -> Array:
    """The same on any line of a provider."""
    lines = f["sites"] * f["route_own_site"] * to_the_whole(f, p)
    return s["traffic_providers"] * lines * p["traffic_flag_rate_provider"] * _stands_out(f, p)


# Rented chips, the model, everything else


def _accounts(f: Columns, p: Columns) -> Array:
    return (1.0 - f["route_own_site"]) * f["nodes"] / p["cloud_nodes_per_account"] * to_the_whole(f, p)


def cloud_identity(f: Columns, s: Columns, p: Columns) -> Array:
    """A customer under a false name is found out."""
    return s["cloud_identity"] * _accounts(f, p) * p["cloud_identity_catch"]


def cloud_hours(f: Columns, s: Columns, p: Columns) -> Array:
    """Reported chip-hours of one account are tied to those of the others."""
    return s["cloud_hours"] * _accounts(f, p) * p["cloud_hours_catch"]


def model_provenance(f: Columns, s: Columns, p: Columns) -> Array:
    """The model is noticed in use, and no one can say where it comes from."""
    return s["model_provenance"] * p["provenance_catch"] + 0.0 * f["chips"]


def intelligence(f: Columns, s: Columns, p: Columns) -> Array:
    """Active intelligence, by the size of the programme in people."""
    xp = namespace(f["people"], p["intelligence_size_exponent"])
    size = xp.exp(p["intelligence_size_exponent"] * xp.log(f["people"] / PEOPLE_OF_INTELLIGENCE))
    return s["intelligence"] * p["intelligence_events_per_year"] * size


def _so(condition: Array, rate: Array) -> Array:
    """A rate where something is so, and nothing elsewhere."""
    xp = namespace(condition)
    return xp.astype(condition, xp.float64) * rate


STEADY: Mapping[str, Callable[[Columns, Columns, Columns], Array]] = {
    function.__name__: function
    for function in (
        register_checks, reconciliation, location_checks, stings, activation_gates, attestation, record_linkage, contract_linkage,
        financial_audits, challenge_inspections, routine_inspections, energy_monitoring, traffic_known_sites, traffic_providers,
        cloud_identity, cloud_hours, model_provenance, intelligence,
    )
}  # fmt: skip
"""Channels whose hazard is the same whenever there is something for them to see."""


def rates(f: Columns, s: Columns, p: Columns) -> dict[str, list[Array]]:
    """The hazard a year of every channel, phase by phase, before any capacity to follow leads; what reaches the actor.

    Parameters
    ----------
    f
        Columns of the cases, see ``hiding.case_columns``.
    s
        Settings of the programmes.
    p
        Parameters of detection.

    Returns
    -------
    By channel, in the order of ``channels()``, a rate for each of ``PHASES``; the number 0 where a channel sees nothing.
    """
    talk, identified = leaks_by_phase(f, p)
    protected = 1.0 + (p["protection_multiplier"] - 1.0) * s["whistleblower_protection"]
    told = (p["channels_multiplier"] - 1.0) * s["whistleblower_channels"]
    paid = (p["reward_multiplier"] - 1.0) * s["whistleblower_reward"] / settings()["whistleblower_reward"].most
    reach = f["reach_whistleblowing"]
    found = {
        "leaks": [reach * protected * rate for rate in talk],
        "identification": [_so(reach > 0.0, rate) for rate in identified],
        "channel_reports": [reach * told * rate for rate in talk],
        "rewarded_reports": [reach * paid * rate for rate in talk],
    }
    for name, function in STEADY.items():
        hazard = f[f"reach_{channels()[name]['countermeasure']}"] * function(f, s, p)
        seen = [float(channels()[name][phase]) for phase in PHASES]
        found[name] = [share * hazard if share > 0.0 else 0.0 for share in seen]
    return found


def false_leads(s: Columns, p: Columns) -> dict[str, Array]:
    """False alarms a year of every channel in a world where nothing is hidden; 0 where a finding is its own proof."""
    none = 0.0 * p["tips_per_year"]
    xp = namespace(none)
    checked = xp.minimum(s["register_checks"] + none, p["registered_chips"])
    gates, cloud = p["gates_false_leads_per_year"] / 2.0, p["cloud_false_leads_per_year"] / 2.0
    links = p["false_links_per_review"] * s["record_reviews"]
    return {
        "leaks": none,
        "identification": none,
        "channel_reports": p["tips_per_year"] * s["whistleblower_channels"],
        "rewarded_reports": p["tips_per_year"] * s["whistleblower_reward"] / settings()["whistleblower_reward"].most,
        "register_checks": p["register_error_rate"] * checked,
        "reconciliation": p["reconciliation_false_leads"] * s["reconciliations"],
        "location_checks": p["location_false_rate"] * p["registered_chips"] * s["location_checks"],
        "stings": p["sting_false_leads_per_year"] * s["stings"],
        "activation_gates": gates * s["activation_gates"],
        "attestation": gates * s["attestation"],
        "record_linkage": _so(s["purchase_records"] + none > 0.0, links),
        "contract_linkage": _so(s["utility_records"] + none > 0.0, links),
        "financial_audits": p["companies_in_scope"] * p["audit_false_share"] * s["financial_audits"],
        "challenge_inspections": none,
        "routine_inspections": none,
        "energy_monitoring": p["energy_false_leads_per_year"] * s["energy_monitoring"],
        "traffic_known_sites": p["traffic_known_false_leads_per_year"] * s["traffic_known_sites"],
        "traffic_providers": p["traffic_lines"] * p["traffic_false_rate"] * s["traffic_providers"],
        "cloud_identity": cloud * s["cloud_identity"],
        "cloud_hours": cloud * s["cloud_hours"],
        "model_provenance": p["provenance_false_leads_per_year"] * s["model_provenance"],
        "intelligence": p["intelligence_false_leads_per_year"] * s["intelligence"],
    }
