//! `pause`: the target's process stands still for an interval.
//!
//! That it goes on is owed before it is stopped. Proven by the kernel, which says that it stands.

use std::sync::Arc;
use std::time::Duration;

use khala_plan::fault::pause::Pause;
use khala_plan::schedule::PlannedFault;

use super::{Fault, Grip, OnTarget, Proof};
use crate::owed::{Debt, Owed, TakingBack};
use crate::target::child::Process;

/// How long the kernel may take to stop every thread of it.
const STOPPED_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks whether it stands.
const STEP: Duration = Duration::from_millis(5);

impl Fault for Pause {
    fn on_target(&self, fault: &PlannedFault, grip: Grip) -> OnTarget {
        let fault = fault.clone();
        Box::pin(async move {
            let process = {
                let child = grip.child.lock().await;
                child.as_ref().and_then(|child| child.process())
            };
            let process = Arc::new(process.ok_or("the target is no process of the harness's")?);
            let debt = GoOn(Arc::clone(&process));
            let owed = Owed::new(debt, fault.id, &grip.told, grip.clock).await;
            let stood = stop(&process).await;
            if stood.is_ok() {
                grip.until_over(&fault).await;
            }
            owed.take_back().await?;
            stood.map(|()| 1)
        })
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof::of(answered.min(1), "the kernel's word that the target's process stood still")
    }
}

async fn stop(process: &Process) -> Result<(), String> {
    process.stop()?;
    let stands = async {
        while !process.stands()? {
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    };
    let late = "the kernel did not stop it in time";
    tokio::time::timeout(STOPPED_WITHIN, stands).await.unwrap_or_else(|_| Err(late.to_owned()))
}

/// Lets a process go on.
struct GoOn(Arc<Process>);

impl Debt for GoOn {
    fn what(&self) -> String {
        format!("send SIGCONT to process {}", self.0.id())
    }

    fn take_back(self: Arc<Self>) -> TakingBack {
        Box::pin(async move { self.0.go_on() })
    }

    fn begin(&self) {
        // It goes with this process all the same.
        let _ = self.0.go_on();
    }
}
