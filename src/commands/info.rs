//! What nsnat says about itself: `skeleton`, `completions`, `man`.

use crate::cli::{Cli, Page};
use crate::error::{Context, Error, Result};
use crate::kernel::{self, state_file};
use crate::model::nft::TableForm;
use crate::model::numbers;
use crate::nft::skeleton;
use crate::report;
use crate::ui::Ui;
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the skeleton as `up` loads it here: with the mask of what is up, else of the configuration.
pub(super) fn skeleton(ui: &Ui<'_>) -> Result<()> {
    let state = state_file::read().unwrap_or_default();
    let declared = || super::config::open(ui).map_or(numbers::FWMARK_MASK, |c| c.settings.fwmark_mask.value);
    let mask = if state.namespaces.is_empty() { declared() } else { state.mask };
    let form = TableForm { mask, without_ipsec: kernel::is_without_ipsec() };
    ui.print(skeleton::text(form).trim_end())
}

pub(super) fn completions(ui: &Ui<'_>, shell: Shell) -> Result<()> {
    // These ask nsnat itself (`complete`), so that they know names, too.
    let script = match shell {
        Shell::Bash => include_str!("complete.bash"),
        Shell::Zsh => include_str!("complete.zsh"),
        Shell::Fish => include_str!("complete.fish"),
        _ => return generated(ui, shell),
    };
    ui.print(script.trim_end())
}

/// Out of the definition of the command line alone.
fn generated(ui: &Ui<'_>, shell: Shell) -> Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "nsnat", &mut out);
    ui.print(String::from_utf8_lossy(&out).trim_end())
}

/// What `--help` prints.
pub(super) fn help(ui: &Ui<'_>, names: &[String]) -> Result<()> {
    let mut whole = Cli::command();
    whole.build();
    let found = names.iter().try_fold(&whole, |above, name| above.find_subcommand(name).ok_or(name));
    let command = found.map_err(|name| {
        Error::usage(format!("help {}", names.join(" ")), format!("{name} is not a command"))
            .hint("nsnat help lists the commands")
    })?;
    ui.print(command.clone().render_long_help().to_string().trim_end())
}

pub(super) fn man(ui: &Ui<'_>, page: Page) -> Result<()> {
    let text = match page {
        Page::Commands => commands_page()?,
        Page::Configuration => report::document(&report::CONFIGURATION),
        Page::Exec => report::document(&report::NSNAT_EXEC),
        Page::Overview => report::document(&report::OVERVIEW),
    };
    ui.print(text.trim_end())
}

fn commands_page() -> Result<String> {
    let page = report::man(&Cli::command()).what(|| "man page")?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
