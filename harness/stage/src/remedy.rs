//! On a NO-GO: what blocks, as issues that can be filed as they are, and the plan, in the runbook's order of
//! rollbacks (traffic, runtime guard, surface, validation), drawn from what failed.

mod blocker;
mod live;
mod plan;

pub use blocker::{Blocker, blockers};
pub use live::Live;
pub use plan::{NOT_BY_THIS, NOTHING_YET, PlanStep, plan};

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Verdict;
    use khala_plan::rollout::Check;

    use super::*;
    use crate::decide::Case;
    use crate::entry::StepResult;
    use crate::evidence::{GateLine, ObjectiveLine};
    use crate::history::History;
    use crate::testing::{at, attempt, failed_objective, of_run, rollout, run};

    /// What failed in stage 1, which holds what is rolled out.
    fn of(objectives: &[(&str, &str)]) -> (Vec<Blocker>, Vec<PlanStep>) {
        let failed = objectives.iter().map(|(metric, selector)| failed_objective(metric, selector));
        of_stage(1, failed.collect(), None)
    }

    fn of_stage(
        at_stage: usize,
        failed: Vec<StepResult>,
        how: Option<&str>,
    ) -> (Vec<Blocker>, Vec<PlanStep>) {
        of_attempt(at_stage, attempt(at(0), failed), how)
    }

    fn of_attempt(
        at_stage: usize,
        attempt: crate::history::Attempt,
        how: Option<&str>,
    ) -> (Vec<Blocker>, Vec<PlanStep>) {
        let blockers = blockers(&attempt, "it");
        let mut rollout = rollout();
        let (control, runtime) = ("5".to_owned(), "6".to_owned());
        rollout.preconditions[0].check =
            Check::Rollback { control, runtime, how: how.map(str::to_owned) };
        let (history, now) = (History::default(), at(9));
        let stage = &rollout.stages[at_stage];
        let (rollout, history, attempt, now) = (&rollout, &history, &attempt, &now);
        let case = Case { rollout, stage, history, attempt, now, check: &|_| None };
        let plan = plan(&case, &blockers);
        (blockers, plan)
    }

    fn needed(objectives: &[(&str, &str)]) -> Vec<String> {
        let (_, plan) = of(objectives);
        plan.into_iter().filter(|step| step.needed).map(|step| step.name).collect()
    }

    #[test]
    fn the_plan_has_the_runbooks_order_and_is_drawn_from_what_failed() {
        let (_, plan) = of(&[("violations", "")]);
        let names: Vec<_> = plan.iter().map(|step| step.name.as_str()).collect();
        let order =
            ["Traffic rollback", "Runtime guard rollback", "Surface rollback", "Validation"];
        assert_eq!(names, order);
        assert_eq!(needed(&[("violations", "")]), ["Traffic rollback", "Validation"]);
        assert_eq!(needed(&[("reconnects", "")]), ["Runtime guard rollback", "Validation"]);
        assert_eq!(needed(&[("violations", "surface=ios")]), ["Surface rollback", "Validation"]);
        assert_eq!(
            needed(&[("violations", "surface=ios"), ("violations", "")]),
            ["Traffic rollback", "Validation"]
        );
        assert_eq!(
            needed(&[("reconnects", ""), ("auth_errors", "")]),
            ["Traffic rollback", "Runtime guard rollback", "Validation"]
        );
    }

    #[test]
    fn a_blocker_names_objective_measure_bound_and_evidence() {
        let (blockers, _) = of(&[("auth_errors", "surface=ios")]);
        let [blocker] = &blockers[..] else { panic!("one: {blockers:?}") };
        assert_eq!(blocker.objective, "error-budget / auth_errors [surface=ios]");
        assert_eq!(blocker.measured, "12.000 %");
        assert_eq!(blocker.bound, "at least 9.000 %");
        assert_eq!(blocker.evidence, "runs/one/summary.md");
        let title = blocker.title("1", "7");
        assert_eq!(
            title,
            "Stage 1, 7: error-budget / auth_errors [surface=ios] fails: 12.000 %, must hold: proportion <= 3%"
        );
    }

    #[test]
    fn traffic_goes_back_by_the_rollout_files_own_command_and_before_a_rollout_nowhere() {
        let failed = || vec![failed_objective("violations", "")];
        let (_, plan) = of_stage(1, failed(), Some("undo --to 6"));
        assert!(plan[0].needed && plan[0].actions.contains(&"by `undo --to 6`".to_owned()));
        let (_, plan) = of_stage(1, failed(), None);
        assert!(plan[0].actions.iter().any(|it| it.contains("name it as `how`")), "{plan:?}");
        let (_, plan) = of_stage(0, failed(), Some("undo --to 6"));
        assert!(!plan[0].needed, "{plan:?}");
        assert!(plan[0].why.starts_with("nothing is rolled out yet"), "{plan:?}");
    }

    #[test]
    fn what_was_rolled_back_is_validated_by_commands_and_bounds() {
        let (_, plan) = of(&[("violations", "")]);
        let all = plan[3].actions.join("\n");
        for says in [
            "fanout/metrics?topic_limit=20",
            "below 2 % for 15 minutes",
            "250 events",
            "cargo test -p",
        ] {
            assert!(all.contains(says), "{says}: {all}");
        }
        // A pipe is no code in a table or a list of Markdown.
        assert!(!all.contains('|'), "{all}");
    }

    /// A run of which a gate claims this of the oracle's violations, and the oracle itself of each rule.
    fn broken(gates: &[(&str, &str, &str, &str)]) -> StepResult {
        let mut run = run();
        run.decision = khala_evidence::judge::Decision::NoGo;
        run.gates = gates
            .iter()
            .map(|(gate, selector, require, measured)| GateLine {
                name: (*gate).to_owned(),
                verdict: Some(Verdict::Fail),
                advisory: false,
                open: vec![ObjectiveLine {
                    metric: "violations".to_owned(),
                    selector: (*selector).to_owned(),
                    require: (*require).to_owned(),
                    warn: None,
                    verdict: Verdict::Fail,
                    n: 9,
                    measured: (*measured).to_owned(),
                    bound: String::new(),
                    reason: format!("{measured} violations"),
                }],
                passed: 0,
                held: Vec::new(),
                untested: Vec::new(),
            })
            .collect();
        of_run(run)
    }

    #[test]
    fn a_rule_that_is_broken_is_one_blocker_that_names_each_place() {
        let of = |gates: &[(&str, &str, &str, &str)]| {
            let (blockers, plan) = of_stage(1, vec![broken(gates)], None);
            let all = blockers.iter().map(|it| it.objectives().collect::<Vec<_>>().join(" + "));
            (all.collect::<Vec<_>>(), plan)
        };
        let gap = ("ux", "rule=gap", "count == 0", "45");
        let (all, plan) = of(&[gap, ("oracle", "rule=gap", "count == 0", "45")]);
        assert_eq!(all, ["ux / violations [rule=gap] + oracle / violations [rule=gap]"]);
        let passes = "`ux / violations [rule=gap]`, `oracle / violations [rule=gap]` pass";
        assert!(plan[3].actions[0].contains(passes), "{plan:?}");
        // Another claim of the same count is told.
        let (all, _) = of(&[gap, ("oracle", "rule=gap", "count <= 9", "45")]);
        let both =
            "ux / violations [rule=gap] + oracle / violations [rule=gap] (must hold: count <= 9)";
        assert_eq!(all, [both]);
        // The sum of all rules is a cause of its own only where no rule stands beside it.
        let (sum, order) =
            (("ux", "", "count == 0", "48"), ("oracle", "rule=nonmonotonic", "count == 0", "3"));
        let (all, _) = of(&[sum, ("oracle", "rule=gap", "count == 0", "45"), order]);
        assert_eq!(
            all,
            [
                "oracle / violations [rule=gap] + ux / violations",
                "oracle / violations [rule=nonmonotonic] + ux / violations",
            ]
        );
        assert_eq!(of(&[sum]).0, ["ux / violations"]);
        // Two rules are two causes, and so is what two runs found.
        assert_eq!(of(&[gap, ("ux", "rule=phantom", "count == 0", "45")]).0.len(), 2);
        let (blockers, _) = of_stage(1, vec![broken(&[gap]), broken(&[gap])], None);
        assert_eq!(blockers.len(), 2, "{blockers:?}");
    }

    #[test]
    fn a_stage_that_failed_before_it_was_begun_rolls_nothing_of_it_back() {
        let failed = || vec![StepResult::of(Verdict::Fail, "6 of 150 deviate")];
        let of = |at_stage: usize| {
            let mut attempt = attempt(at(0), failed());
            // Whatever words it has in its name.
            attempt.runs[0].step = "precondition replay".to_owned();
            of_attempt(at_stage, attempt, None).1
        };
        let plan = of(1);
        assert!(
            plan[0].why.starts_with("this stage rolled nothing out: leave traffic"),
            "{plan:?}"
        );
        assert!(plan[0].why.contains("unless stage 0 is live"), "{plan:?}");
        let needed: Vec<_> = plan.iter().filter(|step| step.needed).map(|it| &it.name).collect();
        assert_eq!(needed, ["Validation"], "{plan:?}");
        assert!(of(0)[0].why.starts_with("nothing is rolled out yet"));
        // Once a run was begun, it is as live as it will be.
        let (_, plan) = of_stage(1, failed(), None);
        assert!(plan[0].needed && plan[0].actions[0].starts_with("no revision"), "{plan:?}");
    }
}
