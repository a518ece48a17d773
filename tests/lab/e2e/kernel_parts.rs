//! What a kernel may lack without failing nsnat, as far as a kernel that has it can show that: that it is not taken for missing
//! where it only cannot be asked for. Kernels that were built without it are booted by `tests/vm/without.sh`.

use crate::lab::Lab;

/// That a socket of IPsec's cannot be opened may be for want of a module, while its settings are there. Both together are a
/// kernel without it.
#[test]
fn a_rule_asks_about_ipsec_unless_the_kernel_surely_knows_none() {
    const REFUSED: &str =
        "strace -f -qq -o /dev/null -e trace=socket -e inject=socket:error=EPROTONOSUPPORT ";
    const HIDDEN: &str = "mount -t tmpfs none /proc/sys/net/core; mount -t tmpfs none /proc/sys/net/ipv4; ";
    let lab = Lab::new();
    let asks = |before: &str, by: &str| {
        lab.ok(&format!("unshare -m bash -euc '{before} {by} nsnat skeleton' | grep -c ' rt ipsec ' || true"))
    };
    assert_eq!(asks("", ""), "1");
    assert_eq!(asks("", REFUSED), "1");
    assert_eq!(asks(HIDDEN, ""), "1");
    assert_eq!(asks(HIDDEN, REFUSED), "0");
}

/// A host whose rules of IPv6 somebody took away still has the part that keeps them.
#[test]
fn no_rule_of_ipv6_is_no_kernel_without_them() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = [\"$LAB_SLOW\", \"$LAB_SLOW6\"]\n");
    lab.ok("ip -6 rule del pref 0; ip -6 rule del pref 32766");
    lab.says("ip -6 rule", "");
    lab.says("nsnat plan --commands | grep -c '^ip -6 rule add' || true", "5");
}
