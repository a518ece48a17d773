//! A line goes while nsnat makes use of it: at each action, the run goes for what is wanted then.

use super::fault::{Fault, Leak};
use super::golden::host;
use super::model::drop_link;
use super::world::World;
use nsnat::config::{Config, Source, load};
use nsnat::error::Error;
use nsnat::model::{ActiveNamespace, Name};
use nsnat::plan;
use nsnat::reconcile::{Failure, Outcome};

/// The line is that of `first`.
const LINES: &str = "[uplink.first]\ndev = \"eth1\"\ngateway = \"10.20.0.1\"\n[uplink.second]\ndev = \"eth0\"
[namespace.alone]\nuplink = \"first\"\n[namespace.beside]\nuplink = \"second\"
[namespace.either]\nuplink = [\"first\", \"second\"]\n";

fn config() -> Config {
    load(vec![Source { path: "nsnat.toml".into(), text: LINES.into() }]).unwrap()
}

/// `up`, or what `watch` does, and before the action of that number the line goes.
fn run(watch: bool, at: usize) -> (World, Result<Outcome, Failure>) {
    let (config, mut world) = (config(), World::new(host("two-routers").unwrap()));
    world.faults = vec![Fault::LineGoes(at)];
    let names: Vec<&Name> = config.namespaces.keys().collect();
    let before = world.observe(&names);
    let mut after = before.clone();
    drop_link(&mut after.host, "eth1");
    let goals = [&before, &after].map(|observed| plan::keep(&config, observed).0);
    world.leak = Leak::between([&goals[0], &goals[1]], &before);
    let done = world.run(&names, |observed| {
        let refused = |_| Error::new("up", "refused");
        if watch {
            Ok(plan::keep(&config, observed).0)
        } else {
            plan::resolve(&config, plan::Selection::All, observed).map_err(refused)
        }
    });
    assert_eq!(world.leak.found, None, "before action {at}");
    (world, done)
}

/// The device by which a namespace leaves; none: nothing gets out.
fn leaves_by<'a>(world: &'a World, name: &str) -> Option<&'a str> {
    let state = &world.disk.state;
    let namespace: &ActiveNamespace = &state.namespaces[&name.parse::<Name>().unwrap()];
    state.path_of(namespace).filter(|path| path.is_open()).map(|path| path.dev.as_str())
}

#[test]
fn what_is_kept_follows_a_line_that_goes_meanwhile() {
    let config = config();
    let actions = run(true, usize::MAX).0.begun;
    for at in 0..actions {
        let (world, done) = run(true, at);
        let outcome = done.unwrap_or_else(|failure| panic!("before action {at}: {}", Error::from(failure)));
        let by = ["alone", "beside", "either"].map(|name| leaves_by(&world, name));
        assert_eq!(by, [None, Some("eth0"), Some("eth0")], "before action {at}");
        // Each is told once, as what has become of it.
        let mut told: Vec<String> =
            outcome.events(1).iter().map(|event| event.kind.name().to_owned()).collect();
        told.dedup();
        assert_eq!(told, ["up"], "before action {at}");
        let names: Vec<&Name> = config.namespaces.keys().collect();
        let observed = world.observe(&names);
        let rest = plan::actions(&plan::keep(&config, &observed).0, &observed);
        assert!(rest.is_empty(), "before action {at}: {rest:?}");
    }
}

#[test]
fn up_says_what_is_missing_and_not_that_the_kernel_is_wrong() {
    let actions = run(false, usize::MAX).0.begun;
    for at in 0..actions {
        let failure = run(false, at).1.map(drop).unwrap_err();
        assert_eq!(failure.error.reason(), "up: refused", "before action {at}");
    }
}
