//! The kinds of things that can be wrong: `nsnat doctor` finds them, and `docs/doctor.md` is written from this table.

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

/// Makes the codes, by stage. Of each: how bad it is, what it means, and which stages and which other codes explain it. Beside
/// a fault of these it is not told, because it goes when the fault goes.
macro_rules! codes {
    ($($stage:ident {$(
        $name:ident $severity:ident $meaning:literal after [$($before:ident)*] [$($cause:ident)*];
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
        DaemonStopped Warning "nsnat.service is enabled, and `nsnat watch` does not run: nothing puts back what other programs take away."
            after [] [];
        DaemonComplains Warning "`nsnat watch` runs, and something keeps it from its work."
            after [] [];
        KernelLacks Fault "The kernel that runs lacks a part that nsnat needs, or cannot load it."
            after [] [];
        ConntrackFull Fault "The table of connection tracking is full, or nearly so: the kernel drops packets of new flows."
            after [] [];
        NeighboursFull Fault "The kernel's table of neighbours is full: it cannot learn the address of a next hop."
            after [] [];
        TwoVersions Warning "Programs of nsnat of different versions are installed."
            after [] [];
        StateNewer Warning "What is up was recorded by a newer release of nsnat, of which this one may not know all."
            after [] [];
        UnitWithoutNamespace Warning "A systemd unit is bound to a namespace that is not declared: it cannot start."
            after [] [];
        LinkManaged Warning "A network manager has taken a link of nsnat's under its care, and may change it."
            after [] [];
        SubnetTaken Fault "Another device of the host has a route or an address in the block of the namespace, so answers may go there."
            after [] [];
    }
    Declaration {
        StateLost Fault "The namespace is up, and the file in which nsnat records that was lost."
            after [] [];
        NameForeign Fault "A namespace of that name exists which nsnat did not make."
            after [] [];
        TakenDown Warning "The namespace was taken down, and `nsnat watch` leaves it so."
            after [] [];
        NotUp Warning "The namespace is declared, and not up."
            after [] [];
        NameTaken Fault "The namespace lives on in its processes, and another one has its name."
            after [] [];
        NotDeclared Fault "The namespace is up, and not declared any more."
            after [] [];
        DeclarationRefused Fault "The namespace is not what is declared, and `nsnat up` would refuse the declaration."
            after [] [NameTaken NoUplink UplinkGone];
    }
    Objects {
        NetnsMissing Fault "The network namespace is gone."
            after [] [];
        NetnsFileMissing Fault "The network namespace lives, and its file in /run/netns is gone: no program finds it by its name."
            after [] [];
        LinkMissing Fault "The veth pair is gone."
            after [] [NetnsMissing];
        LinkChanged Fault "The veth pair is down, or has another MTU, group or alias."
            after [] [NetnsMissing LinkMissing];
        AddressMissing Fault "An address of the veth pair is gone."
            after [] [NetnsMissing LinkMissing];
        RouteMissing Fault "A route of nsnat's is gone, so that packets have no way out, or answers none back."
            after [Uplink] [NetnsMissing LinkMissing LinkChanged AddressMissing];
        RuleMissing Fault "A rule of routing of nsnat's is gone: packets of the namespace do not come to its table."
            after [] [NetnsMissing LinkMissing RulePrecedes RuleUnpassable];
        TableMissing Fault "nsnat's nftables table is gone, or its rules were changed: nothing is masqueraded."
            after [] [];
        ElementsMissing Fault "Entries of nsnat's nftables table are gone."
            after [Uplink] [TableMissing];
        SettingChanged Fault "A setting of the kernel (sysctl) that the namespace needs was changed."
            after [] [NetnsMissing LinkMissing];
        Leftover Warning "Something of nsnat's is there that is not needed any more."
            after [Objects Uplink Others] [];
    }
    Uplink {
        NoUplink Fault "No uplink of the namespace can be used at the moment."
            after [] [];
        UplinksDead Fault "No uplink of the namespace answers."
            after [] [];
        UplinkGone Fault "The device of the uplink is gone."
            after [] [];
        UplinkDown Fault "The device of the uplink is down."
            after [] [];
        UplinkCarrier Fault "The device of the uplink has no carrier: the cable is out, or the other end is off."
            after [] [];
        UplinkAddress Fault "The device of the uplink has no address of a family that the uplink serves."
            after [] [UplinkGone UplinkDown];
        AddressDuplicate Fault "Another machine has an address of the host on the uplink: answers go to either."
            after [] [];
        GatewayDuplicate Fault "Several machines say that the address of the next hop is theirs: packets may go to the wrong one."
            after [] [];
        LeaseEnds Warning "The address of the uplink is a lease that is nearly over, and no DHCP client has renewed it."
            after [] [];
        UplinkFlaps Warning "The line of the uplink goes and comes: each time that it is gone, nothing gets out."
            after [] [];
        GatewaySilent Fault "The next hop does not answer by ARP or neighbour discovery."
            after [] [UplinkGone UplinkDown UplinkCarrier NeighboursFull];
        LastResort Warning "No uplink of the namespace can be used, and it leaves by the host's main table, as it is declared (`last-resort`)."
            after [] [];
        UplinkSilent Warning "One of several uplinks does not answer; another one is used."
            after [] [];
        UplinkUnsteady Warning "One of several uplinks has failed a short time ago, and is used again when it has been well for a while."
            after [] [];
    }
    Others {
        RulePrecedes Fault "A rule of routing of another program comes before nsnat's, and takes its packets."
            after [] [];
        RuleRefuses Fault "A rule of routing of another program refuses the packets."
            after [] [];
        RuleUnpassable Fault "A rule of routing of another program takes the packets, and nothing can come before it."
            after [] [];
        PolicyPrecedes Fault "An IPsec policy of another program takes or drops the packets."
            after [] [];
        PolicyUnpassable Fault "An IPsec policy of another program takes or drops the packets, and nothing can come before it."
            after [] [];
        FirewallDrops Fault "A firewall drops the packets, and nsnat's exception from that is gone."
            after [] [];
        FirewallClosed Fault "A firewall drops the packets, and nsnat cannot make an exception."
            after [] [];
        DeviceDrops Fault "A chain or a filter on a device drops or redirects all packets of the namespace."
            after [] [];
        DeviceMayDrop Warning "A chain or a filter on a device drops or redirects some packets."
            after [] [];
        DeviceQueue Warning "A device of nsnat's has a queue that is not nsnat's, which may drop or delay packets."
            after [] [];
        FlowsOffloaded Warning "A flowtable takes flows past all chains, nsnat's guard among them."
            after [] [];
        ProxyCutOff Warning "nsnat keeps a transparent proxy on this host from hearing its clients."
            after [] [];
    }
    Packets {
        PacketUnsent Fault "The namespace cannot send a packet."
            after [Objects] [UplinkAddress];
        PacketRefused Fault "nsnat's guard refuses the packet, because it would leave by a way that is not its own."
            after [Objects Uplink Others] [];
        PacketDropped Fault "A rule of another program drops the packet."
            after [Others] [];
        PacketCaught Fault "A program on this host catches the packet."
            after [] [];
        PacketLost Fault "The packet is lost inside of this host."
            after [Objects Uplink Others] [ConntrackFull NeighboursFull SubnetTaken];
        PacketStrayed Fault "The packet leaves by another device than its uplink's."
            after [Objects Others] [];
        SourceRewritten Fault "Another program rewrites the source of the packet to an address that this host does not have."
            after [] [TableMissing];
        AnswerUntracked Fault "Answers arrive, and a rule of another program keeps connection tracking from knowing them."
            after [] [];
        AnswerDropped Fault "Answers arrive, and a rule of another program drops them."
            after [Others] [];
        AnswerLost Fault "Answers arrive, and do not reach the namespace."
            after [Objects Others] [SubnetTaken];
    }
    Beyond {
        NothingBehind Fault "The next hop answers, and nothing behind it does."
            after [Objects Uplink Others Packets] [];
        MtuHole Fault "Small packets get answers and large ones do not, and no router says why."
            after [Objects Uplink Others Packets] [NothingBehind];
    }
    Names {
        DnsFamily Fault "The DNS servers of the namespace are of a family that it does not have."
            after [Uplink] [];
        DnsUnresolvable Warning "No server that resolv.conf names can be asked inside."
            after [] [DnsFamily];
        DnsLeaks Fault "A DNS query goes to a server that is not configured."
            after [] [TableMissing ElementsMissing];
        DnsUnseen Fault "Where a DNS query went cannot be seen."
            after [Objects Uplink Others Packets Beyond] [ConntrackFull];
        DnsServerDead Warning "One of several DNS servers does not answer; another one does."
            after [Objects Uplink Others Packets Beyond] [DnsUnseen];
        DnsSilent Fault "No DNS server answers."
            after [Objects Uplink Others Packets Beyond] [ConntrackFull DnsFamily DnsUnresolvable DnsUnseen];
        NamesEncrypted Warning "A program inside asks for names over an encrypted connection of its own: its questions do not go to the servers of the namespace."
            after [] [];
        SocketVisible Warning "A socket of the host's resolver can be opened inside: names that are asked for by it leave by the host's way."
            after [] [];
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
