/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H
/* The Internet checksum: sums over bytes (RFC 1071), pseudo headers (RFC 793, 768, 8200 section 8.1) and
 * incremental updates (RFC 1624). The one place where it is computed.
 *
 * A `sum` is a partial one's-complement sum of 16-bit words as they lie in memory, not folded and not
 * complemented; start with 0. Sums of parts add up with checksum_join(). Because one's-complement
 * addition does not care about byte order (RFC 1071 section 2 B), no word is ever swapped.
 *
 * Corners: 0x0000 and 0xffff are the same number, and which of them comes out matters only to UDP, where 0x0000
 * on the wire means "no checksum" (RFC 768): use the _udp functions there.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

struct rte_mbuf;

/* `sum` plus the bytes of a span. A span of odd length counts as padded with a zero byte, so only the last
 * one of a series may be odd; checksum_join() has no such limit. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);
/* The same and copies the span; one pass over memory. */
uint32_t checksum_copy(uint32_t sum, void *restrict dst, const void *restrict src, size_t len);
/* `len` bytes from offset `off` of a chain, which must hold them. Segments of any length. */
uint32_t checksum_add_mbuf(uint32_t sum, const struct rte_mbuf *m, uint32_t off, uint32_t len);
/* The same and copies them to `dst`. */
uint32_t checksum_copy_mbuf(
	uint32_t sum, void *dst, const struct rte_mbuf *m, uint32_t off, uint32_t len);

/* 16 bits, not complemented. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

/* `sum` with `part`, the sum of a span that begins `offset` bytes behind the beginning of `sum`'s. */
static inline uint32_t checksum_join(uint32_t sum, uint32_t part, size_t offset)
{
	uint16_t folded = checksum_fold(part);

	return checksum_fold(sum) + (uint32_t)(offset & 1 ? rte_bswap16(folded) : folded);
}

/* What goes into the header's field. */
static inline rte_be16_t checksum_finish(uint32_t sum)
{
	return (rte_be16_t)~checksum_fold(sum);
}

/* For UDP: never 0x0000. */
static inline rte_be16_t checksum_finish_udp(uint32_t sum)
{
	rte_be16_t check = checksum_finish(sum);

	return check == 0 ? 0xffff : check;
}

static inline uint32_t checksum_add16(uint32_t sum, rte_be16_t word)
{
	return (uint32_t)checksum_fold(sum) + word;
}

static inline uint32_t checksum_add32(uint32_t sum, rte_be32_t word)
{
	return (uint32_t)checksum_fold(sum) + (word & 0xffff) + (word >> 16);
}

/* Pseudo headers; `l4_len` in host order: header and payload above IP. */
static inline uint32_t checksum_pseudo4(
	rte_be32_t src, rte_be32_t dst, uint8_t proto, uint16_t l4_len)
{
	uint64_t sum = (uint64_t)src + dst + rte_cpu_to_be_16(proto) + rte_cpu_to_be_16(l4_len);

	sum = (sum & 0xffffffff) + (sum >> 32);
	return checksum_fold(
		(uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16 & 0xffff) + (uint32_t)(sum >> 32));
}

uint32_t checksum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t l4_len);

/* The checksum of an IPv4 header whose field is to be set; `header` holds anything in the field. */
rte_be16_t checksum_ipv4_header(const void *header);

/* --- Incremental updates, RFC 1624 equation 3: HC' = ~(~HC + ~m + m') ---
 *
 * A delta collects ~m + m' over all words that change; it may be computed once for a flow, kept folded in 16 bits, and
 * applied to every packet. Only 16-bit words at even offsets of the summed bytes can be exchanged so. */

static inline uint32_t checksum_delta16(uint32_t delta, rte_be16_t from, rte_be16_t to)
{
	return (uint32_t)checksum_fold(delta) + (uint16_t)~from + to;
}

static inline uint32_t checksum_delta32(uint32_t delta, rte_be32_t from, rte_be32_t to)
{
	delta = checksum_delta16(delta, (rte_be16_t)(from & 0xffff), (rte_be16_t)(to & 0xffff));
	return checksum_delta16(delta, (rte_be16_t)(from >> 16), (rte_be16_t)(to >> 16));
}

/* The sum of an IPv6 address, any alignment. */
static inline uint16_t checksum_sum128(const uint8_t bytes[16])
{
	uint64_t q[2], sum;

	memcpy(q, bytes, sizeof(q));
	sum = (q[0] & 0xffffffff) + (q[0] >> 32) + (q[1] & 0xffffffff) + (q[1] >> 32);
	return checksum_fold(
		(uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16 & 0xffff) + (uint32_t)(sum >> 32));
}

/* Two IPv6 addresses, any alignment. */
uint32_t checksum_delta128(uint32_t delta, const uint8_t from[16], const uint8_t to[16]);

/* A complete checksum (IPv4 header, TCP, ICMP). */
static inline rte_be16_t checksum_apply(rte_be16_t check, uint32_t delta)
{
	return checksum_finish((uint32_t)(uint16_t)~check + checksum_fold(delta));
}

/* UDP: a missing checksum stays missing and a present one stays present. */
static inline rte_be16_t checksum_apply_udp(rte_be16_t check, uint32_t delta)
{
	if (check == 0)
		return 0;
	check = checksum_apply(check, delta);
	return check == 0 ? 0xffff : check;
}

/* A partial checksum: the field holds the pseudo header's sum, not complemented. `delta` must be only that of what the pseudo header
 * covers (addresses, protocol, length): ports are summed when the checksum is completed. */
static inline rte_be16_t checksum_apply_partial(rte_be16_t check, uint32_t delta)
{
	return checksum_fold((uint32_t)check + checksum_fold(delta));
}

#endif
