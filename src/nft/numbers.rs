//! Numbers of nf_tables' messages (include/uapi/linux/netfilter/nf_tables.h), as far as
//! nsnat reads or writes them.

/// NFNL_SUBSYS_NFTABLES, and the types of its messages.
pub(crate) const SUBSYSTEM: u8 = 10;
const NFT: u16 = 10 << 8;
pub(crate) const NEW_TABLE: u16 = NFT;
pub(crate) const GET_TABLE: u16 = NFT | 0x01;
pub(super) const DELETE_TABLE: u16 = NFT | 0x02;
pub(crate) const NEW_CHAIN: u16 = NFT | 0x03;
pub(crate) const GET_CHAIN: u16 = NFT | 0x04;
pub(crate) const NEW_RULE: u16 = NFT | 0x06;
pub(crate) const GET_RULE: u16 = NFT | 0x07;
pub(super) const NEW_SET: u16 = NFT | 0x09;
pub(crate) const GET_SET: u16 = NFT | 0x0a;
pub(super) const NEW_ELEMENTS: u16 = NFT | 0x0c;
pub(crate) const GET_ELEMENTS: u16 = NFT | 0x0d;
pub(super) const DELETE_ELEMENTS: u16 = NFT | 0x0e;
pub(crate) const NEW_GENERATION: u16 = NFT | 0x0f;
/// NFTA_GEN_ID.
pub(crate) const GENERATION: u16 = 1;
pub(crate) const GET_GENERATION: u16 = NFT | 0x10;
pub(crate) const TRACE: u16 = NFT | 0x11;
pub(crate) const GET_FLOWTABLE: u16 = NFT | 0x17;

/// NFPROTO_INET.
pub(crate) const INET: u8 = 1;

/// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE: all the same.
pub(crate) const TABLE_NAME: u16 = 1;
pub(crate) const TABLE_FLAGS: u16 = 2;
/// NFT_TABLE_F_OWNER: it goes with the socket that made it, and nobody else may change it.
pub(crate) const TABLE_OWNER: u32 = 2;

pub(crate) const CHAIN_NAME: u16 = 3;
pub(crate) const CHAIN_HOOK: u16 = 4;
pub(crate) const CHAIN_POLICY: u16 = 5;
pub(crate) const CHAIN_TYPE: u16 = 7;
pub(crate) const HOOK_NUMBER: u16 = 1;
pub(crate) const HOOK_PRIORITY: u16 = 2;

pub(crate) const SET_NAME: u16 = 2;
pub(super) const SET_FLAGS: u16 = 3;
pub(super) const SET_KEY_TYPE: u16 = 4;
pub(super) const SET_KEY_LENGTH: u16 = 5;
pub(super) const SET_DATA_TYPE: u16 = 6;
pub(super) const SET_DATA_LENGTH: u16 = 7;
/// NFTA_SET_DESC, and what is in it.
pub(super) const SET_DESCRIPTION: u16 = 9;
pub(super) const DESCRIPTION_SIZE: u16 = 1;
pub(super) const DESCRIPTION_CONCATENATION: u16 = 2;
pub(super) const FIELD_LENGTH: u16 = 1;
pub(super) const SET_ID: u16 = 10;
pub(super) const SET_TIMEOUT: u16 = 11;
pub(super) const SET_USERDATA: u16 = 13;

/// NFTA_SET_ELEM_LIST_SET and the others of a list of elements; NFTA_SET_ELEM_KEY and the others of one.
pub(crate) const LIST_SET: u16 = 2;
pub(crate) const LIST_ELEMENTS: u16 = 3;
pub(super) const LIST_SET_ID: u16 = 4;
pub(crate) const ELEMENT_KEY: u16 = 1;
pub(crate) const ELEMENT_DATA: u16 = 2;
pub(crate) const ELEMENT_KEY_END: u16 = 10;

pub(crate) const RULE_CHAIN: u16 = 2;
pub(crate) const RULE_EXPRESSIONS: u16 = 4;
/// NFTA_LIST_ELEM.
pub(crate) const LIST_ELEMENT: u16 = 1;
pub(crate) const EXPRESSION_NAME: u16 = 1;
pub(crate) const EXPRESSION_DATA: u16 = 2;

pub(crate) const DATA_VALUE: u16 = 1;
pub(crate) const DATA_VERDICT: u16 = 2;
pub(crate) const VERDICT_CODE: u16 = 1;
pub(crate) const VERDICT_CHAIN: u16 = 2;
/// NF_DROP, NF_ACCEPT, NFT_JUMP, NFT_GOTO, NFT_RETURN.
pub(crate) const DROP: i32 = 0;
pub(crate) const ACCEPT: i32 = 1;
pub(crate) const JUMP: i32 = -3;
pub(crate) const GOTO: i32 = -4;
pub(crate) const RETURN: i32 = -5;
pub(super) const IMMEDIATE_DREG: u16 = 1;
pub(crate) const IMMEDIATE_DATA: u16 = 2;
pub(super) const CMP_SREG: u16 = 1;
pub(crate) const CMP_OP: u16 = 2;
pub(crate) const CMP_DATA: u16 = 3;

/// What an expression loads and where to: NFTA_META_…, NFTA_CT_…, NFTA_PAYLOAD_….
pub(super) const META_DREG: u16 = 1;
pub(crate) const META_KEY: u16 = 2;
pub(super) const META_SREG: u16 = 3;
pub(super) const CT_DREG: u16 = 1;
pub(crate) const CT_KEY: u16 = 2;
pub(super) const CT_DIRECTION_OF: u16 = 3;
pub(super) const CT_SREG: u16 = 4;
pub(super) const PAYLOAD_DREG: u16 = 1;
pub(crate) const PAYLOAD_BASE: u16 = 2;
pub(crate) const PAYLOAD_OFFSET: u16 = 3;
pub(super) const PAYLOAD_LENGTH: u16 = 4;

/// NFTA_LOOKUP_….
pub(super) const LOOKUP_SET: u16 = 1;
pub(super) const LOOKUP_SREG: u16 = 2;
pub(crate) const LOOKUP_DREG: u16 = 3;
pub(super) const LOOKUP_SET_ID: u16 = 4;
pub(super) const LOOKUP_FLAGS: u16 = 5;

/// NFTA_BITWISE_…, NFTA_BYTEORDER_….
pub(super) const BITWISE_SREG: u16 = 1;
pub(super) const BITWISE_DREG: u16 = 2;
pub(super) const BITWISE_LENGTH: u16 = 3;
pub(super) const BITWISE_MASK: u16 = 4;
pub(super) const BITWISE_XOR: u16 = 5;
pub(super) const BYTEORDER_SREG: u16 = 1;
pub(super) const BYTEORDER_DREG: u16 = 2;
pub(super) const BYTEORDER_OP: u16 = 3;
pub(super) const BYTEORDER_LENGTH: u16 = 4;
pub(super) const BYTEORDER_SIZE: u16 = 5;
pub(super) const HOST_TO_NETWORK: u32 = 1;

/// NFTA_FIB_…, NFT_FIB_RESULT_…, NFTA_FIB_F_….
pub(super) const FIB_DREG: u16 = 1;
pub(super) const FIB_RESULT: u16 = 2;
pub(super) const FIB_FLAGS: u16 = 3;
pub(super) const FIB_OIF: u32 = 1;
pub(super) const FIB_ADDRTYPE: u32 = 3;
pub(super) const FIB_DADDR: u32 = 0x02;
pub(super) const FIB_MARK: u32 = 0x04;
pub(super) const FIB_PRESENT: u32 = 0x20;

/// NFTA_RT_…, NFT_RT_….
pub(super) const ROUTE_DREG: u16 = 1;
pub(super) const ROUTE_KEY: u16 = 2;
pub(super) const ROUTE_NEXTHOP4: u32 = 1;
pub(super) const ROUTE_NEXTHOP6: u32 = 2;
pub(super) const ROUTE_TCPMSS: u32 = 3;
pub(super) const ROUTE_IPSEC: u32 = 4;

/// NFTA_EXTHDR_…, NFT_EXTHDR_OP_…, NFT_EXTHDR_F_PRESENT.
pub(super) const HEADER_DREG: u16 = 1;
pub(super) const HEADER_TYPE: u16 = 2;
pub(super) const HEADER_OFFSET: u16 = 3;
pub(super) const HEADER_LENGTH: u16 = 4;
pub(super) const HEADER_FLAGS: u16 = 5;
pub(super) const HEADER_OPERATION: u16 = 6;
pub(super) const HEADER_SREG: u16 = 7;
pub(super) const HEADER_IPV6: u32 = 0;
pub(super) const HEADER_TCP_OPTION: u32 = 1;
pub(super) const HEADER_IPV4_OPTION: u32 = 2;
pub(super) const HEADER_PRESENT: u32 = 1;

/// NFTA_DYNSET_…, NFT_DYNSET_OP_….
pub(super) const DYNSET_NAME: u16 = 1;
pub(super) const DYNSET_OP: u16 = 3;
pub(super) const DYNSET_SREG: u16 = 4;
pub(super) const DYNSET_ADD: u32 = 0;
pub(super) const DYNSET_DELETE: u32 = 2;

/// NFTA_NAT_…, NFTA_REJECT_…, NFT_REJECT_….
pub(super) const NAT_TYPE: u16 = 1;
pub(super) const NAT_FAMILY: u16 = 2;
pub(super) const NAT_ADDRESS: u16 = 3;
pub(super) const NAT_PORT: u16 = 5;
pub(super) const REJECT_TYPE: u16 = 1;
pub(super) const REJECT_CODE: u16 = 2;
pub(super) const REJECT_TCP_RESET: u32 = 1;
pub(super) const REJECT_ICMPX: u32 = 2;
pub(super) const REJECT_ADMIN_PROHIBITED: u8 = 3;

/// NFT_META_….
pub(super) const META_MARK: u32 = 3;
pub(crate) const META_IIF: u32 = 4;
pub(crate) const META_OIF: u32 = 5;
pub(super) const META_IIFNAME: u32 = 6;
pub(super) const META_OIFNAME: u32 = 7;
pub(super) const META_SKUID: u32 = 10;
pub(crate) const META_NFTRACE: u32 = 12;
pub(crate) const META_NFPROTO: u32 = 15;
pub(crate) const META_L4PROTO: u32 = 16;
pub(crate) const META_IIFGROUP: u32 = 21;
pub(crate) const META_OIFGROUP: u32 = 22;

/// NFT_CT_….
pub(crate) const CT_STATE: u32 = 0;
pub(crate) const CT_DIRECTION: u32 = 1;
pub(super) const CT_STATUS: u32 = 2;
pub(crate) const CT_MARK: u32 = 3;
pub(crate) const CT_PROTOCOL: u32 = 10;
pub(crate) const CT_PROTO_SRC: u32 = 11;
pub(super) const CT_PROTO_DST: u32 = 12;
pub(super) const CT_ZONE: u32 = 17;
pub(super) const CT_SOURCE_IP: u32 = 19;
pub(super) const CT_DESTINATION_IP: u32 = 20;
pub(super) const CT_SOURCE_IP6: u32 = 21;
pub(super) const CT_DESTINATION_IP6: u32 = 22;

/// NFT_PAYLOAD_TRANSPORT_HEADER.
pub(crate) const TRANSPORT_HEADER: u32 = 2;
