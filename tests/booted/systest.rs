//! nsnat beside the real programs, in a Debian that boots: the scenarios of `tests/systest`, by `scripts/systest`; and on
//! Debian's own kernel, in a machine that QEMU boots: those of `tests/vm`, by `scripts/vm`.

use std::path::Path;
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn run(name: &str) {
    run_by("systest", name);
}

fn run_by(script: &str, name: &str) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut command = Command::new(Path::new(ROOT).join("scripts").join(script));
    command.arg(name).env("NSNAT", env!("CARGO_BIN_EXE_nsnat")).env("CARGO_TARGET_DIR", target);
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    println!("{}", String::from_utf8_lossy(&said));
}

#[test]
fn bridge() {
    run("bridge");
}

/// containerd 1.6 of Debian 12, asked as a kubelet asks it.
#[test]
fn containerd() {
    run("containerd");
}

/// The same with containerd 1.7 of Debian 13.
#[test]
fn containerd_trixie() {
    run("containerd@trixie");
}

#[test]
fn docker() {
    run("docker");
}

/// Docker 20.10 of Debian 12, with networks of nsnat's driver.
#[test]
fn docker_driver() {
    run("docker-driver");
}

/// The same with Docker 26.1 of Debian 13.
#[test]
fn docker_driver_trixie() {
    run("docker-driver@trixie");
}

#[test]
fn firewalld() {
    run("firewalld");
}

/// What a node of Kubernetes does with the page and the manifest: containerd 1.6 of Debian 12, asked as a kubelet asks it.
#[test]
fn kubernetes() {
    run("kubernetes");
}

/// The same with containerd 1.7 of Debian 13.
#[test]
fn kubernetes_trixie() {
    run("kubernetes@trixie");
}

#[test]
fn networkd() {
    run("networkd");
}

#[test]
fn networkmanager() {
    run("networkmanager");
}

#[test]
fn nftables() {
    run("nftables");
}

#[test]
fn package() {
    run("package");
}

/// In Debian 13, with what lintian says of it there.
#[test]
fn package_trixie() {
    run("package@trixie");
}

/// The package of Arch, by pacman.
#[test]
fn package_archlinux() {
    run("package-archlinux@trixie");
}

/// The package of Fedora and openSUSE, by dnf and rpm.
#[test]
fn package_rpm() {
    run("package-rpm@trixie");
}

/// Podman 5 of Debian 13, whose networks netavark makes.
#[test]
fn podman() {
    run("podman@trixie");
}

/// Podman 4 of Debian 12, whose networks are plugins of CNI.
#[test]
fn podman_cni() {
    run("podman-cni");
}

#[test]
fn proxies() {
    run("proxies");
}

/// A line of ppp that is dialled again, with another address, as another device.
#[test]
fn redial() {
    run_by("vm", "redial");
}

#[test]
fn router() {
    run("router");
}

/// On Debian's own kernel; `scripts/kernels --all` does the same on others.
#[test]
fn kernel() {
    run_by("vm", "main");
}

/// On Debian's own kernel, without IPv6.
#[test]
fn no_ipv6() {
    run_by("vm", "no-ipv6");
}

/// On Debian's own kernel, which removes no flows by a filter.
#[test]
fn forget() {
    run_by("vm", "forget");
}

/// On a kernel that was built without what no module brings: User Mode Linux. `scripts/kernels built` builds more of them.
#[test]
fn short_kernel() {
    run_by("vm", "short");
}

/// A road warrior with a virtual address, and a tunnel for all that has the host's own.
#[test]
fn strongswan() {
    run_by("vm", "strongswan");
}

/// Slurm 24.11 of Debian 13.
#[test]
fn slurm() {
    run("slurm@trixie");
}

#[test]
fn ufw() {
    run("ufw");
}

#[test]
fn watch() {
    run("watch");
}

#[test]
fn wg_quick() {
    run("wg-quick");
}

#[test]
fn every_scenario_is_run() {
    let files = std::fs::read_dir(Path::new(ROOT).join("tests/systest")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let names = files.filter(|file| file.extension().is_some_and(|extension| extension == "sh"));
    let names: Vec<_> = names.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert!(names.contains(&"docker".into()), "{names:?}");
    for name in names.iter().filter(|name| *name != "lib") {
        // In Debian 12, or in another one.
        let is_run =
            ["\")", "@"].map(|end| include_str!("systest.rs").contains(&format!("run(\"{name}{end}")));
        assert!(is_run.contains(&true), "nobody runs {name}");
    }
}
