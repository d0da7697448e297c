// SPDX-License-Identifier: Apache-2.0
/*
 * Network addresses as values: text to binary and back, ranges, order.
 *
 * Everything is bytes in network order, without padding and with unused bytes zero, so that
 * the structs can be compared with memcmp, hashed, and used as keys. The text forms are canonical:
 * IPv4 dotted decimal, IPv6 as RFC 5952, MAC addresses as lower-case hex with colons.
 * All functions are pure and may be called from any thread.
 */
#ifndef LIB_NET_H
#define LIB_NET_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes of text buffers, the terminating zero included. */
#define NET_ADDR_TEXT 46
#define NET_PREFIX_TEXT 50
#define NET_MAC_TEXT 18

enum net_family {
	NET_NONE = 0,
	NET_IPV4 = 4,
	NET_IPV6 = 6,
};

struct net_addr {
	uint8_t family;    /* enum net_family */
	uint8_t bytes[16]; /* network order; of IPv4 the first four, the rest zero */
};
static_assert(sizeof(struct net_addr) == 17, "net_addr is hashed: no padding");

/* A CIDR. Host bits may be set in `addr` (see net_prefix_has_host_bits). */
struct net_prefix {
	struct net_addr addr;
	uint8_t length;
};
static_assert(sizeof(struct net_prefix) == 18, "net_prefix is hashed: no padding");

struct net_mac {
	uint8_t bytes[6];
};

/* An inclusive range of TCP or UDP ports, in host order. */
struct net_ports {
	uint16_t first;
	uint16_t last;
};

/* Parsing is strict: no spaces, no leading zeros, no zone ids, nothing after the address.
 * On false, *result is unspecified. */
bool net_addr_parse(const char *text, struct net_addr *result);
/* "10.0.0.0/8": the length is required, host bits are accepted as they are. */
bool net_prefix_parse(const char *text, struct net_prefix *result);
/* "10.0.0.0/8" or "10.0.0.1", which is a /32 (or a /128). */
bool net_prefix_parse_any(const char *text, struct net_prefix *result);
/* "02:00:5e:10:00:01", also in upper case or with dashes. */
bool net_mac_parse(const char *text, struct net_mac *result);
/* "443" or "8000-8999", 0-65535, first <= last. */
bool net_ports_parse(const char *text, struct net_ports *result);

/* Each writes into the caller's buffer of NET_..._TEXT bytes and returns it. */
char *net_addr_format(const struct net_addr *addr, char *text);
char *net_prefix_format(const struct net_prefix *prefix, char *text);
char *net_mac_format(const struct net_mac *mac, char *text);

/* Bits in an address of the family: 32 or 128. */
unsigned net_family_bits(enum net_family family);

struct net_addr net_addr_from_ipv4(uint32_t host_order);
/* The IPv4 address as a host order number; 0 for other families. */
uint32_t net_addr_to_ipv4(const struct net_addr *addr);
struct net_addr net_addr_from_bytes(enum net_family family, const void *bytes);

/* Total order: IPv4 before IPv6, then by value. < 0, 0 or > 0. */
int net_addr_compare(const struct net_addr *a, const struct net_addr *b);
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);
/* Adds to the address in place; false when it ran over the end of the family's space (and wrapped).
 */
bool net_addr_add(struct net_addr *addr, uint64_t count);
/* The next address in place, false after the last one. */
bool net_addr_next(struct net_addr *addr);
/* to - from as a number; UINT64_MAX when it is larger, negative, or the families differ. */
uint64_t net_addr_distance(const struct net_addr *from, const struct net_addr *to);

bool net_addr_is_unspecified(const struct net_addr *addr);
bool net_addr_is_loopback(const struct net_addr *addr);
bool net_addr_is_multicast(const struct net_addr *addr);
bool net_addr_is_link_local(const struct net_addr *addr);
/* An address one machine can own: not unspecified, loopback, multicast, broadcast or 240.0.0.0/4.
 */
bool net_addr_is_unicast(const struct net_addr *addr);

/* Order by address, then shorter length first: a list sorted so has covering prefixes first. */
int net_prefix_compare(const struct net_prefix *a, const struct net_prefix *b);
bool net_prefix_equal(const struct net_prefix *a, const struct net_prefix *b);
bool net_prefix_has_host_bits(const struct net_prefix *prefix);
/* The same prefix with host bits zero. */
struct net_prefix net_prefix_masked(const struct net_prefix *prefix);
/* The prefix of full length that holds only this address. */
struct net_prefix net_prefix_of(const struct net_addr *addr);
bool net_prefix_contains(const struct net_prefix *prefix, const struct net_addr *addr);
/* Is every address of `inner` also in `outer`? */
bool net_prefix_covers(const struct net_prefix *outer, const struct net_prefix *inner);
bool net_prefix_overlaps(const struct net_prefix *a, const struct net_prefix *b);
/* Lowest and highest address: of an IPv4 subnet its network and broadcast address. */
struct net_addr net_prefix_first(const struct net_prefix *prefix);
struct net_addr net_prefix_last(const struct net_prefix *prefix);
/*
 * Lowest and highest address that a machine may have: without network and broadcast address in
 * IPv4 (both are hosts in a /31, RFC 3021, and a /32), without the subnet-router anycast address
 * in IPv6 (RFC 4291 2.6.1; both are hosts in a /127, RFC 6164, and a /128).
 */
struct net_addr net_prefix_first_host(const struct net_prefix *prefix);
struct net_addr net_prefix_last_host(const struct net_prefix *prefix);
/* Can a machine in the subnet have this address? */
bool net_prefix_is_host(const struct net_prefix *prefix, const struct net_addr *addr);

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b);
bool net_mac_is_zero(const struct net_mac *mac);
bool net_mac_is_multicast(const struct net_mac *mac); /* group bit; broadcast too */
/* The EUI-64 interface address of a MAC in a /64, RFC 4291 appendix A; false if it is no IPv6 /64.
 */
bool net_addr_from_eui64(
	const struct net_prefix *prefix, const struct net_mac *mac, struct net_addr *result);

#endif
