/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_DROP_H
#define CORE_DROP_H
/* Every packet that is not sent, consumed or held is dropped under exactly one of these names, which
 * users see in `drops.list`, `explain` and captures. Add a reason here; nothing else lists them.
 */
#include <stdint.h>

/* clang-format off */
#define DROP_REASONS(X) \
	X(NONE,               "none",               "not dropped") \
	X(MALFORMED,          "malformed",          "a header is cut short or contradicts itself") \
	X(BAD_CHECKSUM,       "bad_checksum",       "an IPv4 header, UDP or outer checksum is wrong") \
	X(VLAN,               "vlan",               "a tagged frame on an untagged port, or a tag of no network") \
	X(SPOOFED,            "spoofed",            "source MAC or address is not the port's") \
	X(BROADCAST,          "broadcast",          "broadcast or multicast that no service answers") \
	X(ROGUE_RA,           "rogue_ra",           "a tenant's router advertisement or redirect") \
	X(ROGUE_DHCP,         "rogue_dhcp",         "a tenant's DHCP server answer") \
	X(TTL_EXPIRED,        "ttl_expired",        "time to live ran out at the gateway") \
	X(TOO_BIG,            "too_big",            "larger than the path's MTU") \
	X(NO_ROUTE,           "no_route",           "nothing known leads to the destination") \
	X(BLACKHOLE,          "blackhole",          "a route or address says discard") \
	X(UNKNOWN_VTEP,       "unknown_vtep",       "outer source is no configured VTEP") \
	X(UNKNOWN_VNI,        "unknown_vni",        "VNI is not present on this node") \
	X(WRONG_VTEP,         "wrong_vtep",         "inner source does not live behind the outer source") \
	X(POLICY_INGRESS,     "policy_ingress",     "security groups of the receiver") \
	X(POLICY_EGRESS,      "policy_egress",      "security groups of the sender") \
	X(NO_SESSION,         "no_session",         "an answer or mid-stream packet without a session") \
	X(TCP_STATE,          "tcp_state",          "does not fit the TCP connection's state or window") \
	X(SESSION_TABLE_FULL, "session_table_full", "no room for a new flow") \
	X(SESSION_SHARE,      "session_share",      "the VPC has its share of the session table") \
	X(SESSION_UNANSWERED, "session_unanswered", "the VPC has too many flows that nobody has answered") \
	X(RATE_LIMITED,       "rate_limited",       "above a configured or protective rate") \
	X(QUEUE_FULL,         "queue_full",         "the receiver does not take packets fast enough") \
	X(PORT_DOWN,          "port_down",          "the port is disabled, detached or not there") \
	X(NO_NEIGHBOUR,       "no_neighbour",       "the next hop, on the underlay or outside, does not answer") \
	X(FRAGMENT,           "fragment",           "a fragment without its first, overlapping or too many") \
	X(NAT_EXHAUSTED,      "nat_exhausted",      "no NAT port left") \
	X(NAT_FILTERED,       "nat_filtered",       "no NAT binding or filtered by it") \
	X(EIP_DENIED,         "eip_denied",         "denied by the elastic IP") \
	X(LB_NOT_ALLOWED,     "lb_not_allowed",     "client outside the listener's allow list") \
	X(LB_NO_BACKEND,      "lb_no_backend",      "no back end is up") \
	X(LB_NO_LISTENER,     "lb_no_listener",     "the load balancer does not listen to that port") \
	X(UNSUPPORTED,        "unsupported",        "an EtherType or protocol that is not carried") \
	X(NO_BUFFER,          "no_buffer",          "the packet buffers of the node are used up") \
	X(ECN,                "ecn",                "congestion mark outside, not ECN-capable inside") \
	X(NOT_FOR_US,         "not_for_us",         "an underlay or external packet for somebody else") \
	X(HOOK,               "hook",               "a program that the port's packets pass said so") \
	X(STALE,              "stale",              "its port, VPC or session went away meanwhile")
/* clang-format on */

enum drop_reason {
#define X(id, name, help) DROP_##id,
	DROP_REASONS(X)
#undef X
		DROP_MAX
};

/* Name as users see it; never NULL. */
const char *drop_reason_name(enum drop_reason reason);
/* One line of help. */
const char *drop_reason_help(enum drop_reason reason);
/* DROP_MAX when there is no reason of that name. */
enum drop_reason drop_reason_by_name(const char *name);

#endif
