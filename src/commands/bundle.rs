//! `nsnat doctor --bundle FILE`: all that a report of a bug needs, in one text.

use crate::config::Config;
use crate::error::Result;
use crate::kernel::bundle;
use crate::report::Masked;
use crate::report::doctor::{Examined, json};
use crate::ui::Ui;
use std::path::Path;

pub(super) fn write(ui: &Ui<'_>, path: &Path, config: &Config, found: &[Examined]) -> Result<()> {
    let names: Vec<_> = found.iter().filter_map(|examined| examined.name.clone()).collect();
    let mut sections = vec![
        ("nsnat --version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("nsnat doctor -o json".to_owned(), format!("{:#}", json(found))),
    ];
    let files = config.sources.iter().map(|source| (source.path.display().to_string(), source.text.clone()));
    sections.extend(files.chain(bundle::what_is_said(&names)));
    let mut masked = Masked::new(nix::unistd::gethostname().unwrap_or_default().to_string_lossy());
    let section =
        |(title, text): &(String, String)| format!("==== {title}\n{}\n\n", masked.mask(text).trim_end());
    bundle::write(path, &sections.iter().map(section).collect::<String>())?;
    ui.note(format_args!("wrote {}; read it before you send it to somebody", path.display()));
    Ok(())
}
