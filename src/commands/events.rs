//! `nsnat events`.

use crate::error::Result;
use crate::kernel::event_log::{self, Reader};
use crate::model::{Event, Name};
use crate::report::event;
use crate::ui::Ui;

pub(super) fn run(ui: &Ui<'_>, name: Option<&Name>, follow: bool) -> Result<()> {
    if !follow {
        return show(ui, name, &event_log::all()?);
    }
    let mut reader = Reader::from_beginning()?;
    loop {
        show(ui, name, &reader.take()?)?;
        reader.wait()?;
    }
}

fn show(ui: &Ui<'_>, name: Option<&Name>, events: &[Event]) -> Result<()> {
    events.iter().filter(|event| concerns(event, name)).try_for_each(|event| {
        if ui.json() { ui.print(event::json(event)) } else { ui.print(event::line(event)) }
    })
}

/// What happened to all concerns each.
fn concerns(event: &Event, name: Option<&Name>) -> bool {
    name.is_none() || event.namespace.is_none() || event.namespace.as_ref() == name
}
