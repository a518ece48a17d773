//! `nsnat events`.

use crate::error::Result;
use crate::kernel::event_log::Reader;
use crate::model::{Event, Name};
use crate::report::event;
use crate::ui::Ui;

pub(super) fn run(ui: &Ui<'_>, name: Option<&Name>, follow: bool) -> Result<()> {
    let mut reader = Reader::from_beginning()?;
    loop {
        for event in reader.take()?.iter().filter(|event| concerns(event, name)) {
            if ui.json() {
                ui.print(event::json(event))?;
            } else {
                ui.print(event::line(event))?;
            }
        }
        if !follow {
            return Ok(());
        }
        reader.wait()?;
    }
}

/// What happened to all concerns each.
fn concerns(event: &Event, name: Option<&Name>) -> bool {
    name.is_none() || event.namespace.is_none() || event.namespace.as_ref() == name
}
