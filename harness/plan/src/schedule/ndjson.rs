//! `schedule.ndjson`: the planned part as lines of JSON, for people and for `verify`.
//!
//! Never a port, a clock reading or a run id: equal seeds give equal bytes.

use serde::Serialize;

use super::{Identity, Schedule};
use crate::fault::FaultKind;
use crate::model::Plan;

/// Version of the format; a reader refuses what it does not know.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Schedule {
        version: u32,
        scenario: &'a str,
        seed: u64,
        profile: Option<&'a str>,
    },
    Phase {
        index: usize,
        name: &'a str,
        start_us: u64,
        end_us: u64,
        measure: bool,
    },
    Cohort {
        index: usize,
        name: &'a str,
        surface: &'a str,
        clients: u32,
    },
    Arrival {
        client: u32,
        at_us: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        leaves_us: Option<u64>,
        cohort: u16,
        surface: &'a str,
        user: &'a str,
        org: &'a str,
        session: &'a str,
        device: &'a str,
    },
    Publish {
        n: u32,
        at_us: u64,
        load: u16,
        worker: u16,
        payload_bytes: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<u16>,
    },
    Fault {
        id: u16,
        at_us: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        duration_us: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        spread_us: Option<u64>,
        phase: &'a str,
        #[serde(rename = "type")]
        fault: &'a str,
        attributes: &'a FaultKind,
        targets: &'a [u32],
    },
}

/// The whole file.
pub(super) fn render(schedule: &Schedule, plan: &Plan) -> String {
    let mut out = String::new();
    push(
        &mut out,
        &Line::Schedule {
            version: VERSION,
            scenario: &plan.name,
            seed: plan.seed,
            profile: plan.profile.as_deref(),
        },
    );
    for (index, phase) in schedule.phases.iter().enumerate() {
        let (start_us, end_us, measure) = (phase.start_us, phase.end_us, phase.measure);
        push(&mut out, &Line::Phase { index, name: &phase.name, start_us, end_us, measure });
    }
    for (index, cohort) in plan.fleet.cohorts.iter().enumerate() {
        let (name, surface, clients) = (&cohort.name, cohort.surface.name(), cohort.clients);
        push(&mut out, &Line::Cohort { index, name, surface, clients });
    }
    for arrival in &schedule.arrivals {
        let Identity { user, org, session, device, .. } = Schedule::identity(plan, arrival.client);
        push(
            &mut out,
            &Line::Arrival {
                client: arrival.client,
                at_us: arrival.at_us,
                leaves_us: arrival.leaves_us,
                cohort: arrival.cohort,
                surface: plan.fleet.cohorts[usize::from(arrival.cohort)].surface.name(),
                user: &user,
                org: &org,
                session: &session,
                device: &device,
            },
        );
    }
    for publish in &schedule.publishes {
        push(
            &mut out,
            &Line::Publish {
                n: publish.n,
                at_us: publish.at_us,
                load: publish.load,
                worker: publish.worker,
                payload_bytes: plan.loads[usize::from(publish.load)].payload_bytes,
                fault: publish.fault,
            },
        );
    }
    for planned in &schedule.faults {
        push(
            &mut out,
            &Line::Fault {
                id: planned.id,
                at_us: planned.at_us,
                duration_us: planned.duration_us,
                spread_us: planned.spread_us,
                phase: &schedule.phases[usize::from(planned.phase)].name,
                fault: planned.kind.name(),
                attributes: &planned.kind,
                targets: &planned.targets,
            },
        );
    }
    out
}

fn push(out: &mut String, line: &Line<'_>) {
    let line = serde_json::to_string(line).expect("strings and numbers serialise");
    out.push_str(&line);
    out.push('\n');
}
