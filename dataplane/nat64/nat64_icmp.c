/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP and ICMPv6 types made of each other: RFC 7915 sections 4.2 and 5.2. Pure. */
#include <string.h>

#include "base/checksum.h"
#include "nat64/nat64.h"

#define HEADERS_DIFFER 20u
#define IPV6_LEAST_MTU 1280u
#define NONE -1

enum { ECHO4 = 8, ECHO_REPLY4 = 0, ECHO6 = 128, ECHO_REPLY6 = 129 };

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

int nat64_echo_type(uint8_t type, bool from6)
{
	if (from6)
		return type == ECHO6 ? ECHO4 : type == ECHO_REPLY6 ? ECHO_REPLY4 : NONE;
	return type == ECHO4 ? ECHO6 : type == ECHO_REPLY4 ? ECHO_REPLY6 : NONE;
}

uint32_t nat64_echo_delta(
	const uint8_t *icmp, uint8_t type, rte_be16_t id, uint16_t pseudo, bool from6)
{
	uint8_t head[2] = {type, icmp[1]};
	rte_be16_t from, to;
	uint32_t delta;

	memcpy(&from, icmp, sizeof(from));
	memcpy(&to, head, sizeof(to));
	delta = checksum_delta16(0, from, to);
	memcpy(&from, icmp + 4, sizeof(from));
	delta = checksum_delta16(delta, from, id);
	return from6 ? checksum_delta16(delta, pseudo, 0) : checksum_delta16(delta, 0, pseudo);
}

/* ---- Unreachable and others, code by code ---- */

static bool unreachable_to6(uint8_t code, uint8_t out[8])
{
	static const int8_t codes[16] = {0, 0, NONE, 4, NONE, 0, 0, 0, 0, 1, 1, 0, 0, 1, NONE, 1};

	if (code == 2) { /* protocol: the Next Header field is what is wrong */
		out[0] = 4;
		out[1] = 1;
		out[7] = 6;
		return true;
	}
	if (code >= sizeof(codes) || codes[code] == NONE)
		return false;
	out[0] = 1;
	out[1] = (uint8_t)codes[code];
	return true;
}

/* A router that does not say (RFC 1191 section 5) means the next lower one of what links have. */
static uint32_t plateau_below(uint16_t len)
{
	static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};

	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++)
		if (plateaus[i] < len)
			return plateaus[i];
	return 68;
}

static bool too_big_to6(const uint8_t in[8], uint8_t out[8], uint16_t quoted_len)
{
	uint32_t mtu = (uint32_t)in[6] << 8 | in[7];

	mtu = (mtu != 0 ? mtu : plateau_below(quoted_len)) + HEADERS_DIFFER;
	out[0] = 2;
	put16(out + 6, mtu < IPV6_LEAST_MTU ? IPV6_LEAST_MTU : RTE_MIN(mtu, (uint32_t)UINT16_MAX));
	return true;
}

/* Which byte of the header is meant: figures 3 and 6. */
static bool pointer_to6(uint8_t pointer, uint8_t out[8])
{
	static const int8_t bytes[20] = {
		0, 1, 4, 4, NONE, NONE, NONE, NONE, 7, 6, NONE, NONE, 8, 8, 8, 8, 24, 24, 24, 24};

	if (pointer >= sizeof(bytes) || bytes[pointer] == NONE)
		return false;
	out[0] = 4;
	out[7] = (uint8_t)bytes[pointer];
	return true;
}

static bool to6(const uint8_t in[8], uint8_t out[8], uint16_t quoted_len)
{
	switch (in[0]) {
	case 3:
		return in[1] == 4 ? too_big_to6(in, out, quoted_len) : unreachable_to6(in[1], out);
	case 11:
		out[0] = 3;
		out[1] = in[1];
		return true;
	case 12:
		return (in[1] == 0 || in[1] == 2) && pointer_to6(in[4], out);
	default:
		return false;
	}
}

static bool unreachable_to4(uint8_t code, uint8_t out[8])
{
	static const uint8_t codes[] = {1, 10, 1, 1, 3};

	if (code >= sizeof(codes))
		return false;
	out[0] = 3;
	out[1] = codes[code];
	return true;
}

static bool too_big_to4(const uint8_t in[8], uint8_t out[8])
{
	uint32_t mtu = (uint32_t)in[4] << 24 | (uint32_t)in[5] << 16 | (uint32_t)in[6] << 8 | in[7];

	out[0] = 3;
	out[1] = 4;
	put16(out + 6,
		mtu < HEADERS_DIFFER ? 0 : RTE_MIN(mtu - HEADERS_DIFFER, (uint32_t)UINT16_MAX));
	return true;
}

static bool parameter_to4(const uint8_t in[8], uint8_t out[8])
{
	static const int8_t bytes[8] = {0, 1, NONE, NONE, 2, 2, 9, 8};
	int at;

	if (in[1] == 1) { /* an unknown next header: the protocol */
		out[0] = 3;
		out[1] = 2;
		return true;
	}
	if (in[1] != 0 || in[4] != 0 || in[5] != 0 || in[6] != 0)
		return false;
	at = in[7] < 8 ? bytes[in[7]] : in[7] < 24 ? 12 : in[7] < 40 ? 16 : NONE;
	if (at == NONE)
		return false;
	out[0] = 12;
	out[4] = (uint8_t)at;
	return true;
}

static bool to4(const uint8_t in[8], uint8_t out[8])
{
	switch (in[0]) {
	case 1:
		return unreachable_to4(in[1], out);
	case 2:
		return too_big_to4(in, out);
	case 3:
		out[0] = 11;
		out[1] = in[1];
		return true;
	case 4:
		return parameter_to4(in, out);
	default:
		return false;
	}
}

bool nat64_error_head(const uint8_t in[8], uint8_t out[8], uint16_t quoted_len, bool from6)
{
	memset(out, 0, 8);
	return from6 ? to4(in, out) : to6(in, out, quoted_len);
}
