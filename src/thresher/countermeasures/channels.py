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
from thresher.countermeasures.location import contradiction_share, distance_bound_km
from thresher.countermeasures.parameters import table
from thresher.countermeasures.programmes import settings
from thresher.countermeasures.sampling import hits_per_year
from thresher.simulation.cost import DAYS_PER_YEAR

Columns = Mapping[str, Array]
PHASES = ("procure", "install", "train", "hold")
PEOPLE_OF_INTELLIGENCE = 1000.0
"""The size of programme that ``intelligence_events_per_year`` is given for."""
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
    operators = f["people_operators"] * f["route_own_site"]
    operators_partly = operators * p["operators_partly_share"] * kept
    suppliers = f["sites"] * p["suppliers_per_site"] * f["route_own_site"]
    return {
        "fully": fully,
        "partly": f["people_core"] - fully + operators_partly,
        "not": operators - operators_partly + suppliers,
        "core_partly": f["people_core"] - fully,
        "suppliers": suppliers,
    }


def leaks_by_phase(f: Columns, p: Columns) -> list[Array]:
    """The hazard of a leak with no programme, phase by phase: the member of the ensemble that each draw has."""
    xp = namespace(f["people"], p["leak_model"])
    knows = who_knows(f, p)
    buying = (
        knows["fully"]
        + p["leak_weight_partly"] * knows["core_partly"]
        + p["leak_weight_unknowing"] * knows["suppliers"]
    )
    running = knows["fully"] + p["leak_weight_partly"] * knows["partly"] + p["leak_weight_unknowing"] * knows["not"]
    talking = [leaks.leaks_per_year(people, p["leak_rate"]) for people in (buying, running, running, running)]
    identified = _identification_by_phase(f, p)
    weight = p["ensemble_grimes"] + p["ensemble_identification"] + p["ensemble_insider"]
    first, second = p["ensemble_grimes"] / weight, (p["ensemble_grimes"] + p["ensemble_identification"]) / weight
    by_phase = []
    for talk, found in zip(talking, identified, strict=True):
        other = xp.where(p["leak_model"] < second, found, p["insider_events_per_project_year"] + 0.0 * found)
        by_phase.append(xp.where(p["leak_model"] < first, talk, other))
    return by_phase


def _identification_by_phase(f: Columns, p: Columns) -> list[Array]:
    """What the curve of identified programmes adds in each phase, as a constant rate: exact at the ends of phases."""
    workers = namespace(f["people"]).maximum(f["people"], 2.0 + 0.0 * f["people"])
    shape, mean = leaks.identification_shape_and_mean(workers, p)
    rates, before, end = [], 0.0, 0.0
    for years in phase_years(f, p):
        end = end + years
        after = leaks.identification_cumulative_hazard(end + 0.0 * mean, shape, mean)
        rates.append((after - before) / years)
        before = after
    return rates


# Chips and their paper


def tracked_chips(f: Columns, s: Columns, p: Columns) -> Array:
    """Chips of the plan that the register still follows, and has in the wrong place or the wrong hands."""
    trace = p["trace_without_serials"] + s["foundry_serialisation"] * (
        p["trace_with_serials"] - p["trace_without_serials"]
    )
    new = f["route_after_rule"] * s["registry_new"] * trace
    old = (1.0 - f["route_after_rule"]) * s["registry_old"] * p["trace_without_serials"]
    return f["chips"] * f["route_registrable"] * (new + old) * p["misplaced_share"]


def register_checks(f: Columns, s: Columns, p: Columns) -> Array:
    """Inspectors look for chips of the register where it has them."""
    return hits_per_year(tracked_chips(f, s, p), p["registered_chips"], s["register_checks"])


def location_checks(f: Columns, s: Columns, p: Columns) -> Array:
    """Chips answer a landmark too soon or too late for where they are declared; only a contradiction is evidence."""
    new = f["chips"] * f["route_registrable"] * f["route_after_rule"] * s["registry_new"] * p["misplaced_share"]
    resolution = distance_bound_km(p["location_landmark_ms"], p["light_km_per_ms_fibre"])
    return s["location_checks"] * contradiction_share(resolution, p["displacement_km"]) * new / (1.0 + new)


def stings(f: Columns, s: Columns, p: Columns) -> Array:
    """A purchase on a grey market is made from the authority itself; spread over the time of buying."""
    return s["stings"] * p["sting_meets_buyer"] * f["route_grey"] * purchases(f) / phase_years(f, p)[0]


def activation_gates(f: Columns, s: Columns, p: Columns) -> Array:
    """New chips ask for leave to go on, under a false name and use."""
    return s["activation_gates"] * f["route_after_rule"] * p["activation_renewals_per_year"] * p["activation_catch"]


def attestation(f: Columns, s: Columns, p: Columns) -> Array:
    """New chips attest to what they ran, which is a share of a larger run."""
    return s["attestation"] * f["route_after_rule"] * p["attestation_checks_per_year"] * p["attestation_catch"]


# Purchases and money


def purchases(f: Columns) -> Array:
    """How many purchases the chips take."""
    return f["route_bought"] * f["chips"] / f["chips_per_purchase"]


def linked_over_the_line(f: Columns, s: Columns, p: Columns) -> Array:
    """The chance that a review ties enough purchases together to exceed what the rule lets one site have.

    Those tied to a given purchase are Poisson, with mean recall x (recorded purchases - 1); k are needed, k - 1 besides it. A
    single purchase over the line, or so large that sellers report it, needs no tying.
    """
    xp = namespace(f["chips"], p["link_followed_share"])
    number = purchases(f) * f["route_recorded"]
    nothing = 0.0 * (number + p["link_followed_share"])
    tied = s["linkage_recall"] * xp.maximum(number - 1.0, nothing)
    needed = xp.ceil(xp.minimum(f["line_chips"], MOST_CHIPS + nothing) / f["chips_per_purchase"]) - 1.0
    seen = special.gammainc(xp.maximum(needed, 1.0 + nothing), tied + nothing)
    reported = xp.minimum(f["line_chips"] + nothing, p["chips_per_purchase_reported"] + nothing)
    alone = (f["chips_per_purchase"] >= reported) & (number > 0.0)
    return xp.where(alone, -xp.expm1(-(number + nothing)), seen)


def record_linkage(f: Columns, s: Columns, p: Columns) -> Array:
    """Reviews of records of sales tie one owner's purchases together."""
    return s["record_reviews"] * s["purchase_records"] * p["link_followed_share"] * linked_over_the_line(f, s, p)


def financial_audits(f: Columns, s: Columns, p: Columns) -> Array:
    """One of the companies on paper is audited, and the audit sees what it is for."""
    shells = f["route_own_site"] * f["sites"] / p["sites_per_shell"]
    xp = namespace(shells)
    return s["financial_audits"] * xp.maximum(shells, 1.0 + 0.0 * shells) * p["audit_catch"]


# Sites


def challenge_inspections(f: Columns, s: Columns, p: Columns) -> Array:
    """Inspectors call at places where such a site might stand."""
    hidden = f["sites"] * f["route_own_site"] * (1.0 - f["colocated"])
    return p["site_recognised"] * hits_per_year(hidden, p["candidate_sites"], s["challenge_inspections"])


def routine_inspections(f: Columns, s: Columns, p: Columns) -> Array:
    """Inspectors of known facilities come upon a site in one of them."""
    hidden = f["sites"] * f["route_own_site"] * f["colocated"]
    return p["site_recognised"] * hits_per_year(hidden, p["known_facilities"], s["routine_inspections"])


def energy_monitoring(f: Columns, s: Columns, p: Columns) -> Array:
    """Meters show a load that no one explains: the larger a site, the likelier; small ones drown among shops and offices, and
    those in a known facility in its own load."""
    xp = namespace(f["power_kw_per_site"], p["energy_half_mw"])
    size = xp.log(1e-3 * f["power_kw_per_site"] / p["energy_half_mw"]) * p["energy_steepness"]
    own_meter = f["sites"] * f["route_own_site"] * (1.0 - f["colocated"])
    return s["energy_monitoring"] * own_meter / (1.0 + xp.exp(-size))


def _stands_out(f: Columns, p: Columns) -> Array:
    """How far a site's flow stands out, by its mean upload."""
    return f["mean_upload_mbps_per_node"] / (f["mean_upload_mbps_per_node"] + p["traffic_half_mbps"])


def traffic_known_sites(f: Columns, s: Columns, p: Columns) -> Array:
    """Steady symmetric flows out of known facilities."""
    known = f["sites"] * f["route_own_site"] * f["colocated"]
    return s["traffic_known_sites"] * known * p["traffic_flag_rate_known"] * _stands_out(f, p)


def traffic_providers(f: Columns, s: Columns, p: Columns) -> Array:
    """The same on any line of a provider."""
    return (
        s["traffic_providers"] * f["sites"] * f["route_own_site"] * p["traffic_flag_rate_provider"] * _stands_out(f, p)
    )


# Rented chips, the model, everything else


def _accounts(f: Columns, p: Columns) -> Array:
    return (1.0 - f["route_own_site"]) * f["sites"] / p["cloud_nodes_per_account"]


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


STEADY: Mapping[str, Callable[[Columns, Columns, Columns], Array]] = {
    function.__name__: function
    for function in (
        register_checks, location_checks, stings, activation_gates, attestation, record_linkage, financial_audits,
        challenge_inspections, routine_inspections, energy_monitoring, traffic_known_sites, traffic_providers, cloud_identity,
        cloud_hours, model_provenance, intelligence,
    )
}  # fmt: skip
"""Channels whose hazard is the same whenever there is something for them to see."""
OF_PIECES = frozenset(STEADY) - {"record_linkage", "model_provenance", "intelligence"}
"""Channels that find one site, chip, purchase or account, from which the programme has yet to be found."""


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
    """
    talk = leaks_by_phase(f, p)
    protected = 1.0 + (p["protection_multiplier"] - 1.0) * s["whistleblower_protection"]
    told = (p["channels_multiplier"] - 1.0) * s["whistleblower_channels"]
    paid = (p["reward_multiplier"] - 1.0) * s["whistleblower_reward"] / settings()["whistleblower_reward"].most
    found = {
        "leaks": [protected * rate for rate in talk],
        "channel_reports": [told * rate for rate in talk],
        "rewarded_reports": [paid * rate for rate in talk],
    }
    for name, function in STEADY.items():
        hazard = function(f, s, p)
        hazard = hazard * p["piece_leads_to_whole"] if name in OF_PIECES else hazard
        seen = [float(channels()[name][phase]) for phase in PHASES]
        found[name] = [share * hazard for share in seen]
    return {
        name: [f[f"reach_{channels()[name]['countermeasure']}"] * rate for rate in by_phase]
        for name, by_phase in found.items()
    }


def false_leads(s: Columns, p: Columns) -> dict[str, Array]:
    """False alarms a year of every channel in a world where nothing is hidden; 0 where a finding is its own proof."""
    none = 0.0 * p["tips_per_year"]
    checked = namespace(none).minimum(s["register_checks"] + none, p["registered_chips"])
    gates = p["gates_false_leads_per_year"] / 2.0
    return {
        "leaks": none,
        "channel_reports": p["tips_per_year"] * s["whistleblower_channels"],
        "rewarded_reports": p["tips_per_year"] * s["whistleblower_reward"] / settings()["whistleblower_reward"].most,
        "register_checks": p["register_error_rate"] * checked,
        "location_checks": p["location_false_rate"] * p["registered_chips"] * s["location_checks"],
        "stings": p["sting_false_leads_per_year"] * s["stings"],
        "activation_gates": gates * s["activation_gates"],
        "attestation": gates * s["attestation"],
        "record_linkage": p["false_links_per_review"] * s["record_reviews"] * s["purchase_records"],
        "financial_audits": p["companies_in_scope"] * p["audit_false_share"] * s["financial_audits"],
        "challenge_inspections": none,
        "routine_inspections": none,
        "energy_monitoring": p["energy_false_leads_per_year"] * s["energy_monitoring"],
        "traffic_known_sites": p["traffic_known_false_leads_per_year"] * s["traffic_known_sites"],
        "traffic_providers": p["traffic_lines"] * p["traffic_false_rate"] * s["traffic_providers"],
        "cloud_identity": 0.5 * p["cloud_false_leads_per_year"] * s["cloud_identity"],
        "cloud_hours": 0.5 * p["cloud_false_leads_per_year"] * s["cloud_hours"],
        "model_provenance": p["provenance_false_leads_per_year"] * s["model_provenance"],
        "intelligence": p["intelligence_false_leads_per_year"] * s["intelligence"],
    }
