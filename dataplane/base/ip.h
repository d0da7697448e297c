/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_IP_H
#define BASE_IP_H
/*
 * Addresses and prefixes of both families in one shape.
 *
 * An IPv4 address is held IPv4-mapped, ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so one key, one
 * compare and one table serve both families. The families stay apart all the same: a prefix is IPv4
 * if and only if it lies inside
 * ::ffff:0:0/96, and an IPv6 prefix, ::/0 included, never contains an IPv4 address. Packets that
 * carry a mapped address in an IPv6 header are malformed (RFC 4038 section 4.2) and must be dropped
 * by who parses them.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

/* What an IPv4 prefix length grows by in the mapped space. */
#define IP_V4_BITS 96

struct ip_addr {
	union {
		uint8_t bytes[16];
		rte_be32_t w[4];
		rte_be64_t q[2];
	};
};

static_assert(sizeof(struct ip_addr) == 16, "hashed as 16 bytes");

/* len counts bits of the mapped space, 0..128: 10.0.0.0/8 has 104. Bits beyond len are zero. Has
 * padding: never hash or memcmp it whole. */
struct ip_prefix {
	struct ip_addr addr;
	uint8_t len;
};

static inline struct ip_addr ip_addr_from_v4(rte_be32_t v4)
{
	/* Stored as it is compared, in halves: a load of what two smaller stores have just written stalls. */
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	return (struct ip_addr){.q = {0, (uint64_t)v4 << 32 | RTE_BE32(0xffff)}};
#else
	return (struct ip_addr){.q = {0, 0xffffull << 32 | v4}};
#endif
}

static inline struct ip_addr ip_addr_from_v6(const uint8_t v6[16])
{
	struct ip_addr a;

	memcpy(a.bytes, v6, sizeof(a.bytes));
	return a;
}

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
	return a->q[0] == 0 && a->w[2] == RTE_BE32(0xffff);
}

/* The IPv4 address in a; only where ip_addr_is_v4(). */
static inline rte_be32_t ip_addr_v4(const struct ip_addr *a)
{
	return a->w[3];
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return ((a->q[0] ^ b->q[0]) | (a->q[1] ^ b->q[1])) == 0;
}

/* Names several hosts: multicast (RFC 5771, RFC 4291 2.7), or the limited broadcast address. */
static inline bool ip_addr_is_multicast(const struct ip_addr *a)
{
	return ip_addr_is_v4(a) ? a->bytes[12] >> 4 == 0xe || a->w[3] == UINT32_MAX
				: a->bytes[0] == 0xff;
}

/* fe80::/10, which no router forwards (RFC 4291 2.5.6). */
static inline bool ip_addr_is_link_local(const struct ip_addr *a)
{
	return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* The upper and lower half as numbers, to compare and to count with. */
static inline uint64_t ip_addr_high(const struct ip_addr *a)
{
	return rte_be_to_cpu_64(a->q[0]);
}

static inline uint64_t ip_addr_low(const struct ip_addr *a)
{
	return rte_be_to_cpu_64(a->q[1]);
}

/* Network mask of the first len (0..128) bits. */
static inline struct ip_addr ip_mask(uint8_t len)
{
	uint64_t high = len == 0 ? 0 : len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len);
	uint64_t low = len <= 64 ? 0 : UINT64_MAX << (128 - len);

	return (struct ip_addr){.q = {rte_cpu_to_be_64(high), rte_cpu_to_be_64(low)}};
}

static inline struct ip_addr ip_addr_masked(const struct ip_addr *a, uint8_t len)
{
	struct ip_addr mask = ip_mask(len);

	return (struct ip_addr){.q = {a->q[0] & mask.q[0], a->q[1] & mask.q[1]}};
}

/* The prefix of a's first len bits (mapped space); host bits are cleared. */
static inline struct ip_prefix ip_prefix_of(const struct ip_addr *a, uint8_t len)
{
	return (struct ip_prefix){.addr = ip_addr_masked(a, len), .len = len};
}

/* v4/len with len as people write it, 0..32. */
static inline struct ip_prefix ip_prefix_from_v4(rte_be32_t v4, uint8_t len)
{
	struct ip_addr a = ip_addr_from_v4(v4);

	return ip_prefix_of(&a, IP_V4_BITS + len);
}

static inline bool ip_prefix_is_v4(const struct ip_prefix *p)
{
	return p->len >= IP_V4_BITS && ip_addr_is_v4(&p->addr);
}

/* Length in range and no host bits set. */
static inline bool ip_prefix_is_valid(const struct ip_prefix *p)
{
	if (p->len > 128)
		return false;
	struct ip_addr masked = ip_addr_masked(&p->addr, p->len);

	return ip_addr_equal(&masked, &p->addr);
}

static inline bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}

/* Never true across families. */
static inline bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	struct ip_addr masked = ip_addr_masked(a, p->len);

	return ip_addr_equal(&masked, &p->addr) && ip_prefix_is_v4(p) == ip_addr_is_v4(a);
}

#endif
