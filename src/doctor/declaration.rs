//! Whether the namespace is nsnat's, and is as it is declared.

use super::patient::Patient;
use crate::model::{Code, Cure, Finding};

/// Another namespace has its name.
pub(super) fn name(patient: &Patient<'_>) -> Vec<Finding> {
    let name = patient.name;
    if !patient.observed.is_taken(name) {
        return Vec::new();
    }
    let what = "another namespace has its name, and its processes run on";
    let cure = Cure::Commands(vec![format!("ip netns del {name}"), format!("nsnat up {name}")]);
    vec![Finding::new(Code::NameTaken, what, cure).shown_by([format!("/run/netns/{name}")])]
}

/// It is not what is declared, and cannot be.
pub(super) fn refused(patient: &Patient<'_>) -> Vec<Finding> {
    let one = |why: &String| {
        let what = format!("not what is declared, and nsnat up refuses: {why}");
        let cure =
            patient.person_for_way("change the declaration, or what it conflicts with; then: nsnat up");
        Finding::new(Code::DeclarationRefused, what, cure).shown_by([why.clone()])
    };
    patient.refused.iter().map(one).collect()
}

/// It is up, and not declared any more.
pub(super) fn forgotten(patient: &Patient<'_>) -> Vec<Finding> {
    if patient.declared || patient.namespace.owner.is_some() {
        return Vec::new();
    }
    let cure = Cure::command(format!("nsnat down {}", patient.name));
    let finding = Finding::new(Code::NotDeclared, "up, but not declared any more", cure);
    vec![finding.shown_by(["nsnat list".to_owned()])]
}
