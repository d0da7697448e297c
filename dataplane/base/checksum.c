/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checksum.h"

#include <string.h>

#include <rte_mbuf.h>

#include "base/simd.h"

/* Four 64-bit lanes. Plain C vectors: the compiler makes two SSE2 or NEON registers of it, or one of AVX2. */
typedef uint64_t lanes __attribute__((vector_size(32)));

/* Each lane takes two 32-bit halves a step, so it can not overflow before 2^31 steps. */
static inline uint32_t fold_lanes(const lanes *acc)
{
	uint64_t sum = 0;

	for (int i = 0; i < 4; i++)
		sum += ((*acc)[i] & 0xffffffff) + ((*acc)[i] >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32 & 0xffff) + (sum >> 48);
	return (uint32_t)sum;
}

/* One body for both uses; `dst` is a constant NULL where nothing is copied. */
static __rte_always_inline uint32_t sum_span(
	uint32_t sum, char *restrict dst, const char *restrict src, size_t len)
{
	lanes acc = {0};
	size_t i = 0;

	for (; i + sizeof(acc) <= len; i += sizeof(acc)) {
		lanes v;

		memcpy(&v, src + i, sizeof(v));
		if (dst != NULL)
			memcpy(dst + i, &v, sizeof(v));
		acc += (v & 0xffffffff) + (v >> 32);
	}
	if (i < len) {
		lanes v = {0};

		memcpy(&v, src + i, len - i);
		if (dst != NULL)
			memcpy(dst + i, src + i, len - i);
		acc += (v & 0xffffffff) + (v >> 32);
	}
	return checksum_fold(sum) + (uint32_t)checksum_fold(fold_lanes(&acc));
}

SIMD_CLONES uint32_t checksum_add(uint32_t sum, const void *data, size_t len)
{
	return sum_span(sum, NULL, data, len);
}

SIMD_CLONES uint32_t checksum_copy(
	uint32_t sum, void *restrict dst, const void *restrict src, size_t len)
{
	return sum_span(sum, dst, src, len);
}

static __rte_always_inline uint32_t sum_chain(
	uint32_t sum, char *dst, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint32_t done = 0;

	while (off >= m->data_len && m->next != NULL) {
		off -= m->data_len;
		m = m->next;
	}
	while (done < len) {
		uint32_t part = RTE_MIN(len - done, m->data_len - off);
		const char *src = rte_pktmbuf_mtod_offset(m, const char *, off);

		sum = checksum_join(
			sum, sum_span(0, dst == NULL ? NULL : dst + done, src, part), done);
		done += part;
		off = 0;
		m = m->next;
	}
	return sum;
}

SIMD_CLONES uint32_t checksum_add_mbuf(
	uint32_t sum, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	return sum_chain(sum, NULL, m, off, len);
}

SIMD_CLONES uint32_t checksum_copy_mbuf(
	uint32_t sum, void *dst, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	return sum_chain(sum, dst, m, off, len);
}

uint32_t checksum_pseudo6(
	const uint8_t src[16], const uint8_t dst[16], uint8_t proto, uint32_t l4_len)
{
	uint32_t sum = checksum_add(0, src, 16);

	sum = checksum_add(sum, dst, 16);
	sum = checksum_add32(sum, rte_cpu_to_be_32(l4_len));
	return checksum_add16(sum, rte_cpu_to_be_16(proto));
}

rte_be16_t checksum_ipv4_header(const void *header)
{
	const uint8_t *h = header;
	uint32_t sum = checksum_add(0, h, (h[0] & 0x0f) * 4u);
	rte_be16_t field;

	memcpy(&field, h + 10, sizeof(field));
	/* Taking the field out again is adding its complement. */
	return checksum_finish(checksum_add16(sum, (rte_be16_t)~field));
}

uint32_t checksum_delta128(uint32_t delta, const uint8_t from[16], const uint8_t to[16])
{
	return checksum_delta16(delta, checksum_sum128(from), checksum_sum128(to));
}
