/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SERVICE SENDER FLAGS FRAME: any frame to any of the gateway's services. The buffer ends where the frame or
 * its room ends, so that the address sanitizer sees every byte read or written beyond.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/vpc_fixture.h"
#include "base/checksum.h"
#include "fragment/fragment.h"
#include "vpc/icmp6.h"
#include "vpc/icmp_error.h"
#include "vpc/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 700
#define FLAG_NO_ROOM 1  /* the frame may not grow */
#define FLAG_CHECKSUM 2 /* its checksum of ICMPv6, or of UDP over IPv6, is made right */

/* Most random bytes have a wrong checksum and would get no further. */
static void mend_checksum(uint8_t *frame, uint16_t len)
{
	struct icmp6_frame *f = (struct icmp6_frame *)frame;
	uint16_t icmp_len = icmp6_len(f, len), udp_len;

	if (len >= 62 && f->ip.proto == IPPROTO_UDP) {
		udp_len = (uint16_t)(frame[58] << 8 | frame[59]);
		memset(frame + 60, 0, 2);
		if (udp_len > len - 54)
			return;
		rte_be16_t sum = checksum_finish_udp(checksum_add(
			checksum_pseudo6(f->ip.src_addr, f->ip.dst_addr, IPPROTO_UDP, udp_len),
			frame + 54, udp_len));

		memcpy(frame + 60, &sum, 2);
		return;
	}
	if (icmp_len == 0)
		return;
	f->icmp.checksum = 0;
	f->icmp.checksum = icmp6_checksum(f, icmp_len);
}

static void try_service(
	service_fn fn, uint8_t sender, uint8_t flags, const uint8_t *data, size_t size)
{
	static const char *const ports[] = {"w1", "d1"};
	size_t room = flags & FLAG_NO_ROOM ? size : size + ROOM;
	loc_t in = sender & 2 ? vtep("b") : port(ports[sender & 1]);
	struct service s = {.len = (uint16_t)size, .room = (uint16_t)room};
	enum service_result result;

	s.frame = malloc(room);
	memcpy(s.frame, data, size);
	if (flags & FLAG_CHECKSUM)
		mend_checksum(s.frame, s.len);
	if (!service_begin(&s, in, vpc_by_vni(100)->index))
		abort();
	result = fn(&s);
	if (result == SERVICE_REPLY && s.len > room)
		abort();
	if (result == SERVICE_DROP && (s.reason == DROP_NONE || s.reason >= DROP_MAX))
		abort();
	free(s.frame);
}

static void try_error(uint8_t kind, const uint8_t *data, size_t size)
{
	struct icmp_error error = {.kind = (enum icmp_error_kind)(kind % 3), .mtu = 1400};
	uint8_t *packet = malloc(size), *out = malloc(ICMP_ERROR_FRAME_MAX);

	memcpy(packet, data, size);
	if (icmp_error_allowed(packet, (uint16_t)size) &&
		icmp_error_build(out, &error, packet, (uint16_t)size) > ICMP_ERROR_FRAME_MAX)
		abort();
	free(packet);
	free(out);
}

static void try_fragment(uint8_t len_high, const uint8_t *data, size_t size)
{
	uint8_t *packet = malloc(size);
	struct fragment_piece piece;
	struct fragment_id id = {0};
	uint16_t l3_len = (uint16_t)RTE_MAX((size_t)len_high << 8, size);
	uint32_t least = size != 0 && data[0] >> 4 == 4 ? (data[0] & 15u) * 4 : 40;

	memcpy(packet, data, size);
	/* As parse leaves it: a whole header, and a length that holds it. */
	if (size >= 40 && least >= 20 && least <= size &&
		fragment_parse(packet, (uint32_t)size, l3_len, &id, &piece) == DROP_NONE &&
		(piece.start >= piece.end || piece.end > UINT16_MAX))
		abort();
	free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const service_fn services[] = {arp_serve, nd_serve, gateway_serve, dhcp_serve};
	static bool started;

	if (!started && (fixture_start(NULL) != 0))
		abort();
	if (!started)
		fixture_world();
	started = true;
	if (size < 4 || size > 2000)
		return 0;
	switch (data[0] % 7) {
	case 4:
		try_error(data[1], data + 3, size - 3);
		break;
	case 5:
		try_fragment(data[1], data + 3, size - 3);
		break;
	case 6:
		try_service(dhcp6_serve, data[1], data[2], data + 3, size - 3);
		break;
	default:
		try_service(services[data[0] % 7], data[1], data[2], data + 3, size - 3);
	}
	return 0;
}
