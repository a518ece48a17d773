//! The floor under `nsnat up`: of all that it does, the changes of the kernel alone.
//!
//! Makes all namespaces that are declared, prints how many microseconds the kernel and what speaks with it took for that, and takes
//! them away again. Outside of that time are the start of the program, what is declared, the look at the host before, the plan, the
//! look afterwards, and all that is recorded. The messages are the same, so what `up` takes above this is its own.

use nsnat::config::{self, Config, Trust};
use nsnat::error::{Error, Result};
use nsnat::kernel::Kernel;
use nsnat::model::{Look, Name, Observed, State};
use nsnat::plan::{self, Selection};
use nsnat::reconcile::{Host, Step, prepare};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    match up_and_down() {
        Ok(took) => {
            println!("{}", took.as_micros());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn up_and_down() -> Result<Duration> {
    let config = config::open(None, &Trust::everybody(), false)?;
    let names: Vec<&Name> = config.names().collect();
    let before = observe(&State::default(), &names)?;
    let goal = goal(&config, &before)?;
    let took = perform(&goal, &before)?;
    let after = observe(&goal, &names)?;
    perform(&plan::state_without(&after, |_| true), &after)?;
    Ok(took)
}

fn observe(state: &State, names: &[&Name]) -> Result<Observed> {
    prepare(Kernel::open()?.observe(state, Look::Everything(names))?)
}

fn goal(config: &Config, observed: &Observed) -> Result<State> {
    plan::resolve(config, Selection::All, observed)
        .map_err(|problems| config::report(&problems, &config.sources, false))
}

fn perform(goal: &State, observed: &Observed) -> Result<Duration> {
    let actions = plan::actions(goal, observed);
    let mut kernel = Kernel::open_to_change()?;
    let mut failed: Option<Error> = None;
    let start = Instant::now();
    kernel.perform(&actions, &mut |step| match step {
        Step::Failed(_, why) => {
            failed = Some(why);
            false
        }
        _ => true,
    });
    let took = start.elapsed();
    failed.map_or(Ok(took), Err)
}
