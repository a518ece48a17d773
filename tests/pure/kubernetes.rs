//! The manifests of `docs/engines/kubernetes` are what Kubernetes says of such objects: by the schemas that it publishes, in which no
//! field is known that they do not name. What the manifests do is run by `tests/systest/kubernetes.sh`.

#![expect(clippy::disallowed_methods, reason = "a program is started that knows the schemas")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The first one in which a container names its profile of AppArmor, and the newest one that the program knows.
const RELEASES: [&str; 2] = ["1.30", "1.37"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifests() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs/engines/kubernetes")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// The kinds of the objects that are valid in a release; or what is said of those that are not. An object of a kind that there is
/// not is only warned of, so it is missed among the first.
fn valid(file: &Path, release: &str) -> Result<Vec<String>, String> {
    let program = root().join("target/kubernetes-validate/bin/kubernetes-validate");
    let output = Command::new(&program)
        .args(["--strict", "--kubernetes-version", release])
        .arg(file)
        .output()
        .unwrap_or_else(|why| panic!("{}: {why}; scripts/need test installs it", program.display()));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let kind = |line: &str| Some(line.split_once(" passed for resource ")?.1.split('/').next()?.to_owned());
    if output.status.success() { Ok(said.lines().filter_map(kind).collect()) } else { Err(said) }
}

#[test]
fn the_manifests_are_valid() {
    let manifests = manifests();
    assert!(!manifests.is_empty());
    for (file, release) in manifests.iter().flat_map(|file| RELEASES.map(|release| (file, release))) {
        assert_eq!(valid(file, release).unwrap(), ["configmap", "daemonset"], "{}", file.display());
    }
}

#[test]
fn a_mistake_is_found() {
    let text = fs::read_to_string(root().join("docs/engines/kubernetes/nsnat.yaml")).unwrap();
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    for (right, wrong, said) in [
        ("hostNetwork:", "hostNetwrok:", "'hostNetwrok' was unexpected"),
        ("mountPropagation:", "mountPropogation:", "'mountPropogation' was unexpected"),
        ("hostNetwork: true", "hostNetwork: maybe", "'maybe' is not of type 'boolean'"),
    ] {
        assert!(text.contains(right), "{right}");
        fs::write(file.path(), text.replace(right, wrong)).unwrap();
        let problem = valid(file.path(), RELEASES[1]).unwrap_err();
        assert!(problem.contains(said), "{problem}");
    }
    fs::write(file.path(), text.replace("kind: DaemonSet", "kind: DeamonSet")).unwrap();
    assert_eq!(valid(file.path(), RELEASES[1]).unwrap(), ["configmap"]);
}
