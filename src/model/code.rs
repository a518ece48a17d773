//! The kinds of things that can be wrong: `nsnat doctor` finds them, and `docs/doctor.md` is written from this table.

use super::cure::Help;
use serde::Serialize;
use std::fmt;

/// How bad a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Packets of the namespace do not get where they should.
    Fault,
    /// It works, or some of it does; what is told may become a fault, or stop some packets.
    Warning,
}

/// Where on its way a packet meets a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The host as a whole.
    Host,
    /// Whether the namespace is nsnat's, and is as it is declared.
    Declaration,
    /// What of nsnat's is not there, or is not as nsnat made it.
    Objects,
    /// The uplink.
    Uplink,
    /// Other programs on the way.
    Others,
    /// What became of test packets.
    Packets,
    /// What is behind the next hop.
    Beyond,
    /// Names.
    Names,
}

/// Makes the codes, by stage. Of each: how bad it is, what kind of cure helps, what it means, and which stages and which other
/// codes explain it. Beside a fault of these it is not told, because it goes when the fault goes.
macro_rules! codes {
    ($($stage:ident {$(
        $name:ident $severity:ident $help:ident $meaning:literal after [$($before:ident)*] [$($cause:ident)*];
    )*})*) => {
        /// Which kind of thing is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Code {
            $($(#[doc = $meaning] $name,)*)*
        }

        impl Code {
            /// All of them, in the order of a packet's way.
            pub const ALL: &[Self] = &[$($(Self::$name),*),*];

            /// Where a packet meets it.
            pub fn stage(self) -> Stage {
                match self { $($(Self::$name => Stage::$stage,)*)* }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $($(Self::$name => Severity::$severity,)*)* }
            }

            /// What kind of cure helps.
            pub fn help(self) -> Help {
                match self { $($(Self::$name => Help::$help,)*)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $($(Self::$name => $meaning,)*)* }
            }

            /// Whether the other one explains this one.
            pub fn is_explained_by(self, other: Self) -> bool {
                let (stages, codes): (&[Stage], &[Self]) = match self {
                    $($(Self::$name => (&[$(Stage::$before),*], &[$(Self::$cause),*]),)*)*
                };
                self != other
                    && other.severity() == Severity::Fault
                    && (stages.contains(&other.stage()) || codes.contains(&other))
            }
        }
    };
}

codes! {
    Host {
        DaemonStopped Warning Commands "nsnat.service is enabled, and `nsnat watch` does not run: nothing puts back what other programs take away."
            after [] [];
        DaemonComplains Warning Person "`nsnat watch` runs, and something keeps it from its work."
            after [] [];
        KernelLacks Fault Person "The kernel that runs lacks a part that nsnat needs, or cannot load it."
            after [] [];
        ConntrackFull Fault Commands "The table of connection tracking is full, or nearly so: the kernel drops packets of new flows."
            after [] [];
        NeighboursFull Fault Commands "The kernel's table of neighbours is full: it cannot learn the address of a next hop."
            after [] [];
        TwoVersions Warning Person "Programs of nsnat of different versions are installed."
            after [] [];
        StateNewer Warning Person "What is up was recorded by a newer release of nsnat, of which this one may not know all."
            after [] [];
        UnitWithoutNamespace Warning Commands "A systemd unit is bound to a namespace that is not declared: it cannot start."
            after [] [];
        LinkManaged Warning Commands "A network manager has taken a link of nsnat's under its care, and may change it."
            after [] [];
        SubnetTaken Fault Commands "Another device of the host has a route or an address in the block of the namespace, so answers may go there."
            after [] [];
    }
    Declaration {
        StateLost Fault Nsnat "The namespace is up, and the file in which nsnat records that was lost."
            after [] [];
        NameForeign Fault Person "A namespace of that name exists which nsnat did not make."
            after [] [];
        TakenDown Warning Nsnat "The namespace was taken down, and `nsnat watch` leaves it so."
            after [] [];
        NotUp Warning Nsnat "The namespace is declared, and not up."
            after [] [];
        NameTaken Fault Commands "The namespace lives on in its processes, and another one has its name."
            after [] [];
        NotDeclared Fault Commands "The namespace is up, and not declared any more."
            after [] [];
        DeclarationRefused Fault Person "The namespace is not what is declared, and `nsnat up` would refuse the declaration."
            after [] [NameTaken NoUplink UplinkGone];
    }
    Objects {
        NetnsMissing Fault Nsnat "The network namespace is gone."
            after [] [];
        NetnsFileMissing Fault Nsnat "The network namespace lives, and its file in /run/netns is gone: no program finds it by its name."
            after [] [];
        LinkMissing Fault Nsnat "The veth pair is gone."
            after [] [NetnsMissing];
        LinkChanged Fault Nsnat "The veth pair is down, or has another MTU, group or alias."
            after [] [NetnsMissing LinkMissing];
        AddressMissing Fault Nsnat "An address of the veth pair is gone."
            after [] [NetnsMissing LinkMissing];
        RouteMissing Fault Nsnat "A route of nsnat's is gone, so that packets have no way out, or answers none back."
            after [Uplink] [NetnsMissing LinkMissing LinkChanged AddressMissing];
        RuleMissing Fault Nsnat "A rule of routing of nsnat's is gone: packets of the namespace do not come to its table."
            after [] [NetnsMissing LinkMissing RulePrecedes RuleUnpassable];
        TableMissing Fault Nsnat "nsnat's nftables table is gone, or its rules were changed: nothing is masqueraded."
            after [] [];
        ElementsMissing Fault Nsnat "Entries of nsnat's nftables table are gone."
            after [Uplink] [TableMissing];
        SettingChanged Fault Nsnat "A setting of the kernel (sysctl) that the namespace needs was changed."
            after [] [NetnsMissing LinkMissing];
        Leftover Warning Nsnat "Something of nsnat's is there that is not needed any more."
            after [Objects Uplink Others] [];
    }
    Uplink {
        NoUplink Fault Person "No uplink of the namespace can be used at the moment."
            after [] [];
        UplinksDead Fault Person "No uplink of the namespace answers."
            after [] [];
        UplinkGone Fault Person "The device of the uplink is gone."
            after [] [];
        UplinkDown Fault Commands "The device of the uplink is down."
            after [] [];
        UplinkCarrier Fault Person "The device of the uplink has no carrier: the cable is out, or the other end is off."
            after [] [];
        UplinkAddress Fault Person "The device of the uplink has no address of a family that the uplink serves."
            after [] [UplinkGone UplinkDown];
        AddressDuplicate Fault Person "Another machine has an address of the host on the uplink: answers go to either."
            after [] [];
        GatewayDuplicate Fault Person "Several machines say that the address of the next hop is theirs: packets may go to the wrong one."
            after [] [];
        LeaseEnds Warning Person "The address of the uplink is a lease that is nearly over, and no DHCP client has renewed it."
            after [] [];
        UplinkFlaps Warning Person "The line of the uplink goes and comes: each time that it is gone, nothing gets out."
            after [] [];
        GatewaySilent Fault Person "The next hop does not answer by ARP or neighbour discovery."
            after [] [UplinkGone UplinkDown UplinkCarrier NeighboursFull];
        LastResort Warning Person "No uplink of the namespace can be used, and it leaves by the host's main table, as it is declared (`last-resort`)."
            after [] [];
        UplinkSilent Warning Person "One of several uplinks does not answer; another one is used."
            after [] [];
        PortsUnreached Warning Person "Ports that are published by another uplink are asked by nobody, because that uplink cannot be used."
            after [] [];
        UplinkUnsteady Warning Person "One of several uplinks has failed a short time ago, and is used again when it has been well for a while."
            after [] [];
    }
    Others {
        RulePrecedes Fault Nsnat "A rule of routing of another program comes before nsnat's, and takes its packets."
            after [] [];
        RuleRefuses Fault Either "A rule of routing of another program refuses the packets."
            after [] [];
        RuleUnpassable Fault Either "A rule of routing of another program takes the packets, and nothing can come before it."
            after [] [];
        PolicyPrecedes Fault Nsnat "An IPsec policy of another program takes or drops the packets."
            after [] [];
        PolicyUnpassable Fault Person "An IPsec policy of another program takes or drops the packets, and nothing can come before it."
            after [] [];
        FirewallDrops Fault Nsnat "A firewall drops the packets, and nsnat's exception from that is gone."
            after [] [];
        FirewallClosed Fault Either "A firewall drops the packets, and nsnat cannot make an exception."
            after [] [];
        DeviceDrops Fault Commands "A chain or a filter on a device drops or redirects all packets of the namespace."
            after [] [];
        DeviceMayDrop Warning Either "A chain or a filter on a device drops or redirects some packets."
            after [] [];
        DeviceQueue Warning Commands "A device of nsnat's has a queue that is not nsnat's, which may drop or delay packets."
            after [] [];
        FlowsOffloaded Warning Person "A flowtable takes flows past all chains, nsnat's guard among them."
            after [] [];
        ProxyCutOff Warning Commands "nsnat keeps a transparent proxy on this host from hearing its clients."
            after [] [];
    }
    Packets {
        PacketUnsent Fault Either "The namespace cannot send a packet."
            after [Objects] [UplinkAddress];
        PacketRefused Fault Either "nsnat's guard refuses the packet, because it would leave by a way that is not its own."
            after [Objects Uplink Others] [];
        PacketDropped Fault Commands "A rule of another program drops the packet."
            after [Others] [];
        PacketCaught Fault Either "A program on this host catches the packet."
            after [] [];
        PacketLost Fault Either "The packet is lost inside of this host."
            after [Objects Uplink Others] [ConntrackFull NeighboursFull SubnetTaken];
        PacketStrayed Fault Person "The packet leaves by another device than its uplink's."
            after [Objects Others] [];
        SourceRewritten Fault Either "Another program rewrites the source of the packet to an address that this host does not have."
            after [] [TableMissing];
        AnswerUntracked Fault Either "Answers arrive, and a rule of another program keeps connection tracking from knowing them."
            after [] [];
        AnswerDropped Fault Either "Answers arrive, and a rule of another program drops them."
            after [Others] [];
        AnswerLost Fault Person "Answers arrive, and do not reach the namespace."
            after [Objects Others] [SubnetTaken];
    }
    Beyond {
        NothingBehind Fault Person "The next hop answers, and nothing behind it does."
            after [Objects Uplink Others Packets] [];
        MtuHole Fault Person "Small packets get answers and large ones do not, and no router says why."
            after [Objects Uplink Others Packets] [NothingBehind];
    }
    Names {
        DnsFamily Fault Person "The DNS servers of the namespace are of a family that it does not have."
            after [Uplink] [];
        DnsUnresolvable Warning Person "No server that resolv.conf names can be asked inside."
            after [] [DnsFamily];
        DnsLeaks Fault Person "A DNS query goes to a server that is not configured."
            after [] [TableMissing ElementsMissing];
        DnsUnseen Fault Person "Where a DNS query went cannot be seen."
            after [Objects Uplink Others Packets Beyond] [ConntrackFull];
        DnsServerDead Warning Person "One of several DNS servers does not answer; another one does."
            after [Objects Uplink Others Packets Beyond] [DnsUnseen];
        DnsSilent Fault Person "No DNS server answers."
            after [Objects Uplink Others Packets Beyond] [ConntrackFull DnsFamily DnsUnresolvable DnsUnseen];
        NamesEncrypted Warning Person "A program inside asks for names over an encrypted connection of its own: its questions do not go to the servers of the namespace."
            after [] [];
        SocketVisible Warning Person "A socket of the host's resolver can be opened inside: names that are asked for by it leave by the host's way."
            after [] [];
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
