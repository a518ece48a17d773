//! Commands, each on a host as it finds it: what is stopped at every action.

use super::fault::Disk;
use super::golden;
use super::world::World;
use nsnat::config::{Config, Source, load};
use nsnat::model::{Attached, Datum, Name, Observed, Owner, State, Table};
use nsnat::plan::{self, Selection, Side};
use nsnat::reconcile::Policy;

/// A command, and the host before it.
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) start: World,
    pub(super) command: Command,
    /// What an `up` that follows brings up.
    pub(super) config: Config,
}

pub(super) enum Command {
    /// Of these, or of all where there are none.
    Up(Vec<Name>),
    Down(Vec<Name>),
    /// The queries of this one go where the configuration says of that one.
    Dns(Name, Name),
    ThrowAway(Name),
    Attach(Name, Box<Attached>),
}

impl Scenario {
    /// The namespaces that the command asks for.
    pub(super) fn names(&self) -> Vec<&Name> {
        match &self.command {
            Command::Up(names) if self.start.policy.narrow => names.iter().collect(),
            Command::Up(_) => self.config.namespaces.keys().collect(),
            Command::Down(names) => names.iter().collect(),
            Command::Dns(name, _) | Command::ThrowAway(name) | Command::Attach(name, _) => vec![name],
        }
    }

    /// Where the command leads; none: it is refused.
    pub(super) fn goal(&self, observed: &Observed) -> Option<State> {
        let config = &self.config;
        match &self.command {
            Command::Up(names) if names.is_empty() => plan::resolve(config, Selection::All, observed).ok(),
            Command::Up(names) => plan::resolve(config, Selection::These(names), observed).ok(),
            Command::Down(names) => {
                Some(plan::state_without(observed, |name| names.is_empty() || names.contains(name)))
            }
            Command::Dns(name, like) => Some(plan::with_dns(observed, name, &config.namespaces[like].dns)),
            Command::Attach(name, attached) => {
                plan::resolve(config, Selection::Attachment(name, attached), observed).ok()
            }
            Command::ThrowAway(name) => {
                let owner = Owner { pid: 4711, start: 1, space: 1 };
                plan::resolve(config, Selection::Ephemeral(name, owner), observed).ok()
            }
        }
    }
}

/// Those of `tests/cases/`, and the changes from one configuration to another.
pub(super) fn all() -> Vec<Scenario> {
    let cases = golden::scenarios().into_iter();
    cases.chain(transitions()).collect()
}

/// `up` of so many namespaces, and `down` of them.
pub(super) fn crowd(count: usize) -> [Scenario; 2] {
    let uplinks = ["first", "second"].into_iter().cycle();
    let one = |(i, uplink)| format!("[namespace.n{i}]\nuplink = \"{uplink}\"\ndns = \"198.51.100.53\"\n");
    let text: String = (0..count).zip(uplinks).map(one).collect();
    let scenario = |what: &str, start, command| Scenario {
        name: format!("{count} namespaces: {what}"),
        start,
        command,
        config: config(&text),
    };
    let bare = World::new(golden::host("two-routers").unwrap());
    [
        scenario("up", bare, Command::Up(Vec::new())),
        scenario("down", with("two-routers", &text), Command::Down(Vec::new())),
    ]
}

const UPLINKS: &str =
    "[uplink.first]\ndev = \"eth1\"\ngateway = \"10.20.0.1\"\n[uplink.second]\ndev = \"eth0\"\n";

/// Three namespaces, two of which share an egress.
const ONE: &str = "[namespace.a]\nuplink = \"first\"\n[namespace.b]\nuplink = \"first\"\nmtu = 1400
[namespace.c]\ndev = \"eth0\"\ngateway = [\"192.168.1.254\", \"2001:db8:1::fe\"]\ndns = \"198.51.100.53\"\n";
/// Each of them is another way.
const OTHER: &str =
    "[namespace.a]\ngateway = \"192.168.1.253\"\n[namespace.b]\nuplink = \"second\"\nlan = false
[namespace.c]\nuplink = \"first\"\nipv6 = \"off\"\n[namespace.d]\nuplink = \"second\"\nlan = false\n";
/// The uplink that two of them share leads elsewhere.
const MOVED: &str = "[namespace.a]\nuplink = \"second\"\n[namespace.b]\nuplink = \"second\"\nmtu = 1400
[namespace.c]\ndev = \"eth0\"\ngateway = [\"192.168.1.254\", \"2001:db8:1::fe\"]\ndns = \"198.51.100.53\"\n";
/// The uplinks of two namespaces change places.
const SWAPPED: [&str; 2] = [
    "[namespace.a]\nuplink = \"first\"\n[namespace.b]\nuplink = \"second\"\n",
    "[namespace.a]\nuplink = \"second\"\n[namespace.b]\nuplink = \"first\"\n",
];
/// A shared egress is left by one, and the subnets of two others change places.
const BLOCKS: [&str; 2] = [
    "[namespace.a]\nuplink = \"first\"\nsubnet = \"10.5.0.0/30\"\n[namespace.b]\nuplink = \"second\"\nsubnet = \"10.5.0.4/30\"
[namespace.c]\nuplink = \"second\"\n[namespace.d]\nuplink = \"second\"\n",
    "[namespace.a]\nuplink = \"first\"\nsubnet = \"10.5.0.4/30\"\n[namespace.b]\nuplink = \"second\"\nsubnet = \"10.5.0.0/30\"
[namespace.c]\nuplink = \"first\"\n[namespace.d]\nuplink = \"second\"\n",
];
const DNS: &str = "[namespace.like]\nuplink = \"first\"
dns = { rewrite = { \"8.8.8.8\" = \"198.51.100.53\", \"127.0.0.1\" = \"198.51.100.54:5353\" } }\n";

fn config(text: &str) -> Config {
    load(vec![Source { path: "nsnat.toml".into(), text: format!("{UPLINKS}{text}") }]).unwrap()
}

/// A host on which a configuration is up.
fn with(host: &str, text: &str) -> World {
    let mut world = World::new(golden::host(host).unwrap());
    world.up(&config(text), Selection::All).unwrap().unwrap();
    world
}

/// Somebody took something out of two namespaces, and of the host.
fn damaged(mut world: World) -> World {
    for link in ["nsn-a", "nsn-c"] {
        world.kernel.link_down(&Side::Host, link).unwrap();
    }
    let elements = &mut world.kernel.observed.table.elements;
    elements.retain(|element| !element.key.contains(&Datum::Device("nsn-c".into())));
    world
}

/// Somebody removed the state file.
fn forgotten(mut world: World) -> World {
    world.disk = Disk::default();
    world
}

/// Somebody flushed the ruleset.
fn flushed(mut world: World) -> World {
    world.kernel.observed.table = Table::default();
    world
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn transitions() -> impl Iterator<Item = Scenario> {
    let mut out = Vec::new();
    let mut add = |what: &str, start: World, command, text: &str| {
        out.push(Scenario { name: what.into(), start, command, config: config(text) });
    };
    let all = || Command::Up(Vec::new());
    for host in ["two-routers", "old-kernel"] {
        let bare = || World::new(golden::host(host).unwrap());
        let policy = |mut world: World, policy| {
            world.policy = policy;
            world
        };
        let narrow = Policy { narrow: true, all_or_nothing: true, unstoppable: false };
        let or_nothing = Policy { narrow: true, all_or_nothing: true, ..Policy::default() };
        let named = Policy { narrow: true, ..Policy::default() };
        let of = |what: &str| format!("{host}: {what}");
        add(&of("up"), bare(), all(), ONE);
        add(
            &of("up of one more"),
            with(host, ONE),
            all(),
            &format!("{ONE}[namespace.e]\nuplink = \"second\"\n"),
        );
        let more = format!("{ONE}[namespace.e]\nuplink = \"second\"\n");
        add(&of("up NAME of one more"), policy(with(host, ONE), named), Command::Up(vec![name("e")]), &more);
        add(
            &of("up NAME repairs"),
            policy(damaged(with(host, ONE)), named),
            Command::Up(vec![name("c")]),
            ONE,
        );
        add(
            &of("up NAME of one that changes"),
            policy(with(host, ONE), named),
            Command::Up(vec![name("b")]),
            OTHER,
        );
        add(
            &of("up NAME, and its egress changes"),
            policy(with(host, ONE), named),
            Command::Up(vec![name("a")]),
            MOVED,
        );
        add(
            &of("up NAME without a table"),
            policy(flushed(with(host, ONE)), named),
            Command::Up(vec![name("a")]),
            ONE,
        );
        add(
            &of("up NAME without a state file"),
            policy(forgotten(with(host, ONE)), named),
            Command::Up(vec![name("a")]),
            ONE,
        );
        add(&of("add"), policy(with(host, ONE), or_nothing), Command::Up(vec![name("d")]), OTHER);
        add(&of("every way changes"), with(host, ONE), all(), OTHER);
        add(&of("every way changes back"), with(host, OTHER), all(), ONE);
        add(&of("uplinks change places"), with(host, SWAPPED[0]), all(), SWAPPED[1]);
        add(&of("blocks change places"), with(host, BLOCKS[0]), all(), BLOCKS[1]);
        add(&of("down"), with(host, ONE), Command::Down(Vec::new()), ONE);
        add(&of("down of one"), with(host, ONE), Command::Down(vec![name("a")]), ONE);
        add(&of("down of two"), with(host, ONE), Command::Down(vec![name("a"), name("c")]), ONE);
        add(
            &of("dns set"),
            policy(with(host, ONE), named),
            Command::Dns(name("c"), name("like")),
            &format!("{ONE}{DNS}"),
        );
        add(
            &of("ephemeral"),
            policy(with(host, ONE), narrow),
            Command::ThrowAway(name("e")),
            &format!("{ONE}[namespace.e]\nuplink = \"second\"\n"),
        );
        add(
            &of("ephemeral of a new egress"),
            policy(bare(), narrow),
            Command::ThrowAway(name("e")),
            "[namespace.e]\nuplink = \"second\"\n",
        );
        add(&of("ephemeral ends"), policy(with(host, ONE), narrow), Command::Down(vec![name("c")]), ONE);
    }
    out.into_iter()
}
