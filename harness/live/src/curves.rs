//! How those who were cut off come back and latencies so far, as the page draws them.

use khala_evidence::render::report_html::so_far::{self, Curves, DRAWN, Latency, Returning};
use khala_evidence::standing::Standing;
use khala_plan::Plan;
use khala_plan::estimate::{Expected, expected};
use khala_plan::gate::grammar;
use khala_plan::metric::MetricId;
use khala_plan::model::Objective;
use khala_plan::schedule::Schedule;

/// Those of each phase and surface who are to be cut off by plan, with nobody back yet.
pub(crate) fn planned(plan: &Plan, schedule: &Schedule) -> Vec<Returning> {
    let metric = MetricId::TimeToRecovered;
    let Ok(require) = grammar::parse(metric, "p(99) < 1s") else { return Vec::new() };
    let mut all = Vec::new();
    for (phase, window) in schedule.phases.iter().enumerate() {
        for surface in plan.fleet.surfaces() {
            let objective = Objective {
                metric,
                selector: [("surface".to_owned(), surface.name().to_owned())].into(),
                during: vec![window.name.clone()],
                against: Vec::new(),
                require: require.clone(),
                warn: None,
                min_samples: 0,
                reach: None,
            };
            let planned = match expected(plan, schedule, &objective).first() {
                Some((_, Expected::Samples(n) | Expected::SamplesOver(n, _))) => whole(*n),
                _ => 0,
            };
            all.push(Returning {
                phase,
                name: window.name.clone(),
                surface,
                planned,
                back: Default::default(),
            });
        }
    }
    all
}

/// The charts of what stands.
pub(crate) fn so_far(
    planned: &[Returning],
    schedule: &Schedule,
    standing: &Standing,
    gates: &[so_far::Gate],
) -> Curves {
    let returning = planned.iter().map(|it| {
        let phase = u16::try_from(it.phase).unwrap_or(u16::MAX);
        let back = standing.distribution(MetricId::TimeToRecovered, &[phase], Some(it.surface));
        Returning { back, ..it.clone() }
    });
    let measured: Vec<u16> =
        schedule.phases.iter().zip(0_u16..).filter(|(it, _)| it.measure).map(|(_, n)| n).collect();
    let mut surfaces: Vec<_> = planned.iter().map(|it| it.surface).collect();
    surfaces.sort_unstable();
    surfaces.dedup();
    let latencies = surfaces.into_iter().flat_map(|surface| {
        let measured = &measured;
        DRAWN.into_iter().map(move |metric| Latency {
            surface,
            metric,
            response: standing.distribution(metric, measured, Some(surface)),
            service: standing.service(metric, measured, Some(surface)),
        })
    });
    let latencies: Vec<_> = latencies.filter(|it| !it.response.is_empty()).collect();
    so_far::curves(&returning.collect::<Vec<_>>(), &latencies, gates)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clients, a whole number"
)]
fn whole(n: f64) -> u64 {
    n.max(0.0) as u64
}
