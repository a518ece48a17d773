//! What nsnat says about itself: `skeleton`, `completions`, `man`.

use super::Context;
use crate::cli::Cli;
use crate::error::{Context as _, Result};
use crate::kernel::files;
use crate::model::numbers;
use crate::skeleton;
use clap::CommandFactory;

/// Prints the skeleton as `up` loads it: with the mask of what is up, else of the configuration.
pub(super) fn skeleton(context: &Context<'_>) -> Result<()> {
    let journal = files::read_journal().unwrap_or_default();
    let declared =
        || super::config::open(context).map_or(numbers::FWMARK_MASK, |c| c.settings.fwmark_mask.value);
    let mask = if journal.members.is_empty() { declared() } else { journal.mask };
    super::print(skeleton::text(mask).trim_end())
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nsnat", &mut out);
    super::print(String::from_utf8_lossy(&out).trim_end())
}

pub(super) fn man() -> Result<()> {
    let out = crate::report::man(&Cli::command()).what(|| "man page")?;
    super::print(String::from_utf8_lossy(&out).trim_end())
}
