//! What nsnat says about itself: `skeleton`, `completions`, `man`.

use crate::cli::Cli;
use crate::error::{Context, Result};
use crate::kernel::files;
use crate::model::numbers;
use crate::skeleton;
use crate::ui::Ui;
use clap::CommandFactory;

/// Prints the skeleton as `up` loads it: with the mask of what is up, else of the configuration.
pub(super) fn skeleton(ui: &Ui<'_>) -> Result<()> {
    let state = files::read_state().unwrap_or_default();
    let declared = || super::config::open(ui).map_or(numbers::FWMARK_MASK, |c| c.settings.fwmark_mask.value);
    let mask = if state.namespaces.is_empty() { declared() } else { state.mask };
    ui.print(skeleton::text(mask).trim_end())
}

pub(super) fn completions(ui: &Ui<'_>, shell: clap_complete::Shell) -> Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nsnat", &mut out);
    ui.print(String::from_utf8_lossy(&out).trim_end())
}

pub(super) fn man(ui: &Ui<'_>) -> Result<()> {
    let out = crate::report::man(&Cli::command()).what(|| "man page")?;
    ui.print(String::from_utf8_lossy(&out).trim_end())
}
