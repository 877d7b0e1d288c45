//! Which part of a plan each agent does.

use crate::tester::course::{Course, Unrest};
use crate::tester::plan::{Load, Plan};

/// The part of agent `number`, of so many; `run` is the number of the first one's topics.
pub(super) fn share(plan: &Plan, number: u32, agents: u32, run: u16) -> Plan {
    let part = |all: u32| all / agents + u32::from(number < all % agents);
    let even = |all: f64| all / f64::from(agents);
    let restless = part(plan.course.restless);
    let clients = part(plan.steady()) + restless;
    Plan {
        clients,
        users: part(plan.users).clamp(1, clients.max(1)),
        load: match plan.load {
            Load::Rate(rate) => Load::Rate(even(rate)),
            Load::Window(places) => Load::Window(u16::try_from(part(places.into())).unwrap_or(u16::MAX)),
            Load::Silence => Load::Silence,
        },
        publishers: part(plan.publishers).max(1),
        // Goals are about all of them together, and the conductor watches the server.
        slo: Vec::new(),
        server_pid: None,
        course: Course {
            ramp: even(plan.course.ramp),
            restless,
            unrest: match plan.course.unrest {
                Unrest::Churn { per_second } => Unrest::Churn { per_second: even(per_second) },
                other => other,
            },
            run: Some(run.wrapping_add(u16::try_from(number).unwrap_or(u16::MAX))),
            ..plan.course.clone()
        },
        ..plan.clone()
    }
}

/// Whether every agent gets something to do.
///
/// # Errors
/// One sentence, where one does not.
pub(super) fn check(plan: &Plan, agents: u32) -> Result<(), String> {
    if plan.steady() < agents {
        return Err(format!("{} clients that stay are too few for {agents} agents", plan.steady()));
    }
    match plan.load {
        Load::Window(places) if u32::from(places) < agents => {
            Err(format!("--window {places} is too small for {agents} agents"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tester::arguments::{Arguments, Command};
    use clap::Parser;

    fn plan(words: &str) -> Plan {
        let words = ["fanout-loadtest"].into_iter().chain(words.split_whitespace());
        let Command::Load(load) = Arguments::parse_from(words).command else { panic!("no load") };
        let (scenario, run) = load.parts();
        run.plan(scenario).unwrap()
    }

    #[test]
    fn shares_make_the_whole_and_no_two_have_a_topic_in_common() {
        for words in ["users --clients 100 --users 50 --rate 1000", "fanout --window 16", "soak --churn 7 --clients 61"]
        {
            let plan = plan(&format!("{words} --ramp 30").replace("--ramp 30", ""));
            for agents in 1..=5 {
                let shares: Vec<Plan> = (0..agents).map(|number| share(&plan, number, agents, 0xfffe)).collect();
                assert_eq!(shares.iter().map(|share| share.clients).sum::<u32>(), plan.clients, "{words}");
                assert_eq!(shares.iter().map(|share| share.course.restless).sum::<u32>(), plan.course.restless);
                let runs: std::collections::BTreeSet<_> = shares.iter().map(|share| share.course.run).collect();
                assert_eq!(runs.len(), shares.len(), "{words}");
                assert!(shares.iter().all(|share| share.check().is_ok()), "{words}");
            }
        }
    }

    #[test]
    fn too_many_agents_are_refused() {
        assert!(check(&plan("fanout --clients 3"), 4).is_err());
        assert!(check(&plan("fanout --window 3"), 4).is_err());
        assert!(check(&plan("fanout --clients 4"), 4).is_ok());
    }
}
