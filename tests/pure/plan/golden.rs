//! `tests/cases/<case>/`: `config.toml` and `observed.json` → `plan.txt`, the plan of `up` or what is wrong.
//! What may stand in `observed.json`: see [`Scene`]. `BLESS=1` writes what comes out.

use super::fault::Disk;
use super::model::Model;
use super::scenarios::Scenario;
use super::world::{World, asked};
use nsnat::config::{Config, Source, load, report};
use nsnat::model::{Attached, DetachedNetns, Element, Name, Netns, Observed, Stack};
use nsnat::plan::{Action, Selection, Side};
use serde::Deserialize;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How a host comes to be as the case finds it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Scene {
    /// A host of `tests/hosts/`.
    host: String,
    /// What else is there from the beginning: whatever an `Observed` can hold.
    #[serde(default)]
    also: Observed,
    /// Files of the case; `up` was run with each of them, in order.
    #[serde(default)]
    up: Vec<String>,
    /// Network namespaces that other programs made.
    #[serde(default)]
    foreign: Vec<Name>,
    /// Attachments to these, which were made then.
    #[serde(default)]
    attach: Vec<Attachment>,
    /// What happened then.
    #[serde(default)]
    then: Vec<Event>,
    /// The command that is planned; `up` of everything, unless something else is said.
    #[serde(default)]
    command: Command,
}

/// What others do to a host.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Event {
    /// The device goes down.
    LinkDown(String),
    /// The device is gone.
    LinkGone(String),
    /// The host loses an address.
    AddressGone(ipnetwork::IpNetwork),
    /// Routes whose plan line holds this text are removed.
    RouteGone(String),
    /// Rules of that preference are removed.
    RuleGone(u32),
    /// Elements that hold this text are removed.
    ElementGone(String),
    /// Our table is removed (`nft flush ruleset`).
    TableGone,
    /// The namespace is removed.
    NamespaceGone(Name),
    /// An engine takes the interface that was made for it.
    Taken(String),
    /// The namespace's file is removed while a process is inside.
    FileGone(Name),
    /// The namespace is removed, and somebody else makes one of that name.
    NamespaceReplaced(Name),
    /// `/run/nsnat` was emptied.
    JournalLost,
    /// The passes of ours in chains of that name are gone.
    PassGone(String),
    /// These things appear.
    Appears(Box<Observed>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    #[default]
    Up,
    UpOnly(Vec<Name>),
    Down(Vec<Name>),
    Attach(Box<Attachment>),
}

/// An attachment: its name, which is that of the foreign namespace, and all that `nsnat attach` is told.
pub(super) type Attachment = (Name, Attached);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
fn cases() {
    let folders = folders();
    let failed: Vec<String> = folders.iter().filter_map(|folder| case(folder)).collect();
    assert!(folders.len() >= 25, "only {} cases found", folders.len());
    assert!(
        failed.is_empty(),
        "{}\nBLESS=1 cargo test --test pure plan:: takes them as right",
        failed.join("\n")
    );
}

/// The cases as scenarios; those that are refused, or in which nothing is to be done, are none.
pub(super) fn scenarios() -> Vec<Scenario> {
    folders().iter().map(|folder| scenario(folder).unwrap()).collect()
}

fn scenario(folder: &Path) -> Result<Scenario, String> {
    let scene = scene(folder)?;
    let command = match &scene.command {
        Command::Up => super::scenarios::Command::Up(Vec::new()),
        Command::UpOnly(names) => super::scenarios::Command::Up(names.clone()),
        Command::Down(names) => super::scenarios::Command::Down(names.clone()),
        Command::Attach(attachment) => {
            let (name, attached) = attachment.as_ref();
            super::scenarios::Command::Attach(name.clone(), Box::new(attached.clone()))
        }
    };
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    Ok(Scenario { name, start: world(folder, &scene)?, command, config: config(folder, "config.toml")? })
}

fn scene(folder: &Path) -> Result<Scene, String> {
    serde_json::from_str(&read(&folder.join("observed.json"))?).map_err(|why| format!("observed.json: {why}"))
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(root().join("cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// What differs, if anything.
fn case(folder: &Path) -> Option<String> {
    let actual = match outcome(folder) {
        Ok(actual) => actual,
        Err(why) => return Some(format!("--- {}\n{why}\n", folder.display())),
    };
    let golden = folder.join("plan.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::File::create(&golden).unwrap().write_all(actual.as_bytes()).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    (actual != expected).then(|| format!("--- {}\n{}", golden.display(), difference(&expected, &actual)))
}

/// The plan, line by line, or the report of what is wrong. A plan is also gone through, and must be the last one.
fn outcome(folder: &Path) -> Result<String, String> {
    let scene = scene(folder)?;
    let mut world = world(folder, &scene)?;
    let config = config(folder, "config.toml")?;
    let selection = match &scene.command {
        Command::Up => Selection::All,
        Command::UpOnly(names) => Selection::These(names),
        Command::Down(names) => return down(&mut world, names),
        Command::Attach(attachment) => {
            let (name, attached) = attachment.as_ref();
            Selection::Attachment(name, attached)
        }
    };
    let (goal, actions) = match world.plan(&config, selection) {
        Ok(plan) => plan,
        Err(problems) => return Ok(format!("{}\n", report(&problems, &config.sources, false))),
    };
    let mut out = lines(&actions);
    if actions.is_empty() {
        out.push_str("nothing to do\n");
    }
    world.reach(&asked(&config, selection, world.policy), &goal)?;
    Ok(out)
}

fn down(world: &mut World, names: &[Name]) -> Result<String, String> {
    let gone = |name: &Name| names.is_empty() || names.contains(name);
    let observed = world.observe(&names.iter().collect::<Vec<_>>());
    let goal = nsnat::plan::state_without(&observed, gone);
    let actions = nsnat::plan::actions(&goal, &observed);
    world.reach(&names.iter().collect::<Vec<_>>(), &goal)?;
    Ok(lines(&actions))
}

fn lines(actions: &[Action]) -> String {
    actions.iter().fold(String::new(), |mut out, action| {
        let _ = writeln!(out, "{action}");
        out
    })
}

/// The host as the scene says.
fn world(folder: &Path, scene: &Scene) -> Result<World, String> {
    let mut host = host(&scene.host)?;
    merge(&mut host, &scene.also);
    let mut world = World::new(host);
    for file in &scene.up {
        let config = config(folder, file)?;
        let done = world.up(&config, Selection::All);
        done.map_err(|problems| report(&problems, &config.sources, false).to_string())??;
    }
    for name in &scene.foreign {
        world.kernel.make_netns(name, false)?;
        world.kernel.link_up(&Side::Inside(name.clone()), "lo")?;
    }
    for (name, attached) in &scene.attach {
        let config = config(folder, "config.toml")?;
        let done = world.up(&config, Selection::Attachment(name, attached));
        done.map_err(|problems| report(&problems, &config.sources, false).to_string())??;
    }
    for event in &scene.then {
        happens(&mut world, event)?;
    }
    Ok(world)
}

/// A host of `tests/hosts/`.
pub(super) fn host(name: &str) -> Result<Observed, String> {
    let path = root().join("hosts").join(format!("{name}.json"));
    serde_json::from_str(&read(&path)?).map_err(|why| format!("{}: {why}", path.display()))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn config(folder: &Path, file: &str) -> Result<Config, String> {
    let source = Source { path: file.into(), text: read(&folder.join(file))? };
    load(vec![source]).map_err(|error| error.to_string())
}

fn merge(into: &mut Observed, more: &Observed) {
    let replaced = |stack: &mut Stack, more: &Stack| {
        stack.links.retain(|link| more.link(&link.name).is_none());
        stack.links.extend(more.links.iter().cloned());
        stack.addresses.extend(more.addresses.iter().cloned());
        stack.routes.extend(more.routes.iter().cloned());
        stack.rules.extend(more.rules.iter().cloned());
        stack.sysctls.extend(more.sysctls.clone());
    };
    replaced(&mut into.host, &more.host);
    into.namespaces.extend(more.namespaces.clone());
    into.gates.all.extend(more.gates.all.clone());
    into.gates.passes.extend(more.gates.passes.clone());
    into.gates.taps.extend(more.gates.taps.clone());
    into.nameservers.extend(&more.nameservers);
    into.health.extend(more.health.clone());
    into.policies.splice(0..0, more.policies.clone());
}

fn happens(World { kernel, disk, .. }: &mut World, event: &Event) -> Result<(), String> {
    let host = &mut kernel.observed.host;
    let (rules, routes, addresses) = (host.rules.len(), host.routes.len(), host.addresses.len());
    match event {
        Event::LinkDown(dev) => return kernel.link_down(&Side::Host, dev),
        Event::LinkGone(dev) => kernel.remove_link(dev),
        Event::AddressGone(net) => {
            host.addresses.retain(|address| address.net != *net);
            host.routes.retain(|route| route.src != Some(net.ip()));
        }
        Event::RouteGone(text) => host.routes.retain(|route| {
            let line = Action::RemoveRoute { place: Side::Host, route: route.clone() };
            !line.to_string().contains(text.as_str())
        }),
        Event::RuleGone(preference) => host.rules.retain(|rule| rule.preference != *preference),
        Event::ElementGone(text) => elements_gone(kernel, text)?,
        Event::TableGone => kernel.observed.table = nsnat::model::Table::default(),
        Event::Taken(peer) => return kernel.take(peer),
        Event::NamespaceGone(name) => return kernel.remove_netns(name),
        Event::FileGone(name) => match kernel.observed.namespaces.get_mut(name) {
            Some(Netns::Alive { adrift, .. }) => {
                *adrift = Some(DetachedNetns { pid: 4711, stale: false, taken: false });
            }
            _ => return Err("no such namespace".into()),
        },
        Event::NamespaceReplaced(name) => {
            kernel.remove_netns(name)?;
            return kernel.make_netns(name, false);
        }
        Event::JournalLost => *disk = Disk::default(),
        Event::PassGone(chain) => {
            kernel.observed.gates.passes.retain(|found| found.pass.chain.name != *chain);
        }
        Event::Appears(more) => merge(&mut kernel.observed, more),
    }
    // A case that meant to break something and did not would prove nothing.
    let host = &kernel.observed.host;
    let broke = match event {
        Event::AddressGone(_) => host.addresses.len() < addresses,
        Event::RouteGone(_) => host.routes.len() < routes,
        Event::RuleGone(_) => host.rules.len() < rules,
        _ => true,
    };
    if broke { Ok(()) } else { Err("an event without effect".into()) }
}

fn elements_gone(kernel: &mut Model, text: &str) -> Result<(), String> {
    let holds =
        |element: &Element| nsnat::plan::element_text(&[], std::slice::from_ref(element)).contains(text);
    let before = kernel.observed.table.elements.len();
    kernel.observed.table.elements.retain(|element| !holds(element));
    if kernel.observed.table.elements.len() < before {
        Ok(())
    } else {
        Err(format!("no element holds {text}"))
    }
}

/// The lines that differ, those of the golden file with `-`.
fn difference(expected: &str, actual: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(expected), lines(actual));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}\n"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}\n"));
    let out: String = gone.chain(come).collect();
    if out.is_empty() { "the same lines in another order\n".into() } else { out }
}

/// Hosts are hosts, and nothing of nsnat's is on them.
#[test]
fn hosts_can_be_read() {
    for file in fs::read_dir(root().join("hosts")).unwrap() {
        let path = file.unwrap().path();
        let observed = host(path.file_stem().unwrap().to_str().unwrap()).unwrap();
        assert!(observed.host.link("lo").is_some(), "{}", path.display());
        assert!(observed.state.namespaces.is_empty() && !observed.table.exists, "{}", path.display());
    }
}
