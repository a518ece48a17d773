//! Numbers of nf_tables' messages (include/uapi/linux/netfilter/nf_tables.h), as far as more than one part of the
//! kernel's room uses them.

/// NFNL_SUBSYS_NFTABLES, and the types of its messages.
pub(super) const SUBSYSTEM: u8 = 10;
const NFT: u16 = 10 << 8;
pub(super) const NEW_TABLE: u16 = NFT;
pub(super) const GET_TABLE: u16 = NFT | 0x01;
pub(super) const NEW_CHAIN: u16 = NFT | 0x03;
pub(super) const GET_CHAIN: u16 = NFT | 0x04;
pub(super) const NEW_RULE: u16 = NFT | 0x06;
pub(super) const GET_RULE: u16 = NFT | 0x07;
pub(super) const GET_SET: u16 = NFT | 0x0a;
pub(super) const GET_ELEMENTS: u16 = NFT | 0x0d;
pub(super) const NEW_GENERATION: u16 = NFT | 0x0f;
pub(super) const GET_GENERATION: u16 = NFT | 0x10;
pub(super) const TRACE: u16 = NFT | 0x11;
pub(super) const GET_FLOWTABLE: u16 = NFT | 0x17;

/// NFPROTO_INET.
pub(super) const INET: u8 = 1;

/// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE: all the same.
pub(super) const TABLE_NAME: u16 = 1;
pub(super) const TABLE_FLAGS: u16 = 2;
/// NFT_TABLE_F_OWNER: it goes with the socket that made it, and nobody else may change it.
pub(super) const TABLE_OWNER: u32 = 2;

pub(super) const CHAIN_NAME: u16 = 3;
pub(super) const CHAIN_HOOK: u16 = 4;
pub(super) const CHAIN_TYPE: u16 = 7;
pub(super) const HOOK_NUMBER: u16 = 1;
pub(super) const HOOK_PRIORITY: u16 = 2;

pub(super) const RULE_CHAIN: u16 = 2;
pub(super) const RULE_EXPRESSIONS: u16 = 4;
/// NFTA_LIST_ELEM.
pub(super) const LIST_ELEMENT: u16 = 1;
pub(super) const EXPRESSION_NAME: u16 = 1;
pub(super) const EXPRESSION_DATA: u16 = 2;

pub(super) const DATA_VALUE: u16 = 1;
pub(super) const VERDICT_CODE: u16 = 1;
pub(super) const IMMEDIATE_DATA: u16 = 2;
pub(super) const CMP_OP: u16 = 2;
pub(super) const CMP_DATA: u16 = 3;

/// What an expression loads: NFTA_META_KEY, NFTA_CT_KEY; NFTA_PAYLOAD_BASE and NFTA_PAYLOAD_OFFSET.
pub(super) const META_KEY: u16 = 2;
pub(super) const CT_KEY: u16 = 2;
pub(super) const PAYLOAD_BASE: u16 = 2;
pub(super) const PAYLOAD_OFFSET: u16 = 3;

/// NFT_META_….
pub(super) const META_IIF: u32 = 4;
pub(super) const META_OIF: u32 = 5;
pub(super) const META_NFTRACE: u32 = 12;
pub(super) const META_NFPROTO: u32 = 15;
pub(super) const META_L4PROTO: u32 = 16;
pub(super) const META_IIFGROUP: u32 = 21;
pub(super) const META_OIFGROUP: u32 = 22;

/// NFT_CT_….
pub(super) const CT_STATE: u32 = 0;
pub(super) const CT_DIRECTION: u32 = 1;
pub(super) const CT_MARK: u32 = 3;
pub(super) const CT_PROTOCOL: u32 = 10;
pub(super) const CT_PROTO_SRC: u32 = 11;

/// NFT_PAYLOAD_TRANSPORT_HEADER.
pub(super) const TRANSPORT_HEADER: u32 = 2;
