// SPDX-License-Identifier: Apache-2.0
#include "lib/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

unsigned net_family_bits(enum net_family family)
{
	return family == NET_IPV4 ? 32 : 128;
}

/* An unsigned decimal number without sign or leading zeros that ends at `end`. */
static bool number_parse(const char *text, const char *end, unsigned max, unsigned *result)
{
	unsigned value = 0;

	if (text == end || (text[0] == '0' && end - text > 1))
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return false;
	}
	*result = value;
	return true;
}

bool net_addr_parse(const char *text, struct net_addr *result)
{
	bool ipv6 = strchr(text, ':') != NULL;

	memset(result, 0, sizeof(*result));
	result->family = ipv6 ? NET_IPV6 : NET_IPV4;
	return inet_pton(ipv6 ? AF_INET6 : AF_INET, text, result->bytes) == 1;
}

bool net_prefix_parse(const char *text, struct net_prefix *result)
{
	const char *slash = strchr(text, '/');
	char addr[NET_ADDR_TEXT];
	unsigned length;

	if (!slash || slash - text >= NET_ADDR_TEXT)
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (!net_addr_parse(addr, &result->addr))
		return false;
	if (!number_parse(slash + 1, slash + strlen(slash), net_family_bits(result->addr.family),
		    &length))
		return false;
	result->length = (uint8_t)length;
	return true;
}

bool net_prefix_parse_any(const char *text, struct net_prefix *result)
{
	if (strchr(text, '/'))
		return net_prefix_parse(text, result);
	if (!net_addr_parse(text, &result->addr))
		return false;
	result->length = (uint8_t)net_family_bits(result->addr.family);
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool net_mac_parse(const char *text, struct net_mac *result)
{
	char separator = strlen(text) == NET_MAC_TEXT - 1 ? text[2] : '\0';

	if (separator != ':' && separator != '-')
		return false;
	for (int i = 0; i < 6; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 || text[2] != (i < 5 ? separator : '\0'))
			return false;
		result->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool net_ports_parse(const char *text, struct net_ports *result)
{
	const char *end = text + strlen(text), *dash = strchr(text, '-');
	unsigned first, last;

	if (!number_parse(text, dash ? dash : end, UINT16_MAX, &first))
		return false;
	last = first;
	if (dash && (!number_parse(dash + 1, end, UINT16_MAX, &last) || last < first))
		return false;
	result->first = (uint16_t)first;
	result->last = (uint16_t)last;
	return true;
}

/* The longest run of at least two zero words, the first of equals (RFC 5952 4.2). */
static void zero_run(const uint16_t words[8], int *start, int *length)
{
	*start = -1;
	*length = 1;
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && words[i + n] == 0)
			n++;
		if (n > *length) {
			*start = i;
			*length = n;
		}
		i += n;
	}
}

/* Not inet_ntop: it writes ::1:2 as ::0.1.0.2, which RFC 5952 section 5 reserves for known
 * prefixes. */
static void ipv6_format(const uint8_t bytes[16], char *text)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint16_t words[8];
	int start, length;
	char *out = text;

	if (!memcmp(bytes, mapped, sizeof(mapped))) {
		sprintf(text, "::ffff:%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
		return;
	}
	for (int i = 0; i < 8; i++)
		words[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	zero_run(words, &start, &length);
	for (int i = 0; i < 8; i++) {
		if (i == start) {
			out += sprintf(out, "::");
			i += length - 1;
			continue;
		}
		if (i > 0 && out[-1] != ':')
			*out++ = ':';
		out += sprintf(out, "%x", words[i]);
	}
}

char *net_addr_format(const struct net_addr *addr, char *text)
{
	const uint8_t *b = addr->bytes;

	if (addr->family == NET_IPV4)
		sprintf(text, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	else
		ipv6_format(b, text);
	return text;
}

char *net_prefix_format(const struct net_prefix *prefix, char *text)
{
	net_addr_format(&prefix->addr, text);
	sprintf(text + strlen(text), "/%u", prefix->length);
	return text;
}

char *net_mac_format(const struct net_mac *mac, char *text)
{
	const uint8_t *b = mac->bytes;

	sprintf(text, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return text;
}

struct net_addr net_addr_from_bytes(enum net_family family, const void *bytes)
{
	struct net_addr addr = {.family = (uint8_t)family};

	memcpy(addr.bytes, bytes, net_family_bits(family) / 8);
	return addr;
}

struct net_addr net_addr_from_ipv4(uint32_t host_order)
{
	uint32_t be = htonl(host_order);

	return net_addr_from_bytes(NET_IPV4, &be);
}

uint32_t net_addr_to_ipv4(const struct net_addr *addr)
{
	uint32_t be;

	if (addr->family != NET_IPV4)
		return 0;
	memcpy(&be, addr->bytes, sizeof(be));
	return ntohl(be);
}

int net_addr_compare(const struct net_addr *a, const struct net_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
	return net_addr_compare(a, b) == 0;
}

bool net_addr_add(struct net_addr *addr, uint64_t count)
{
	unsigned carry = 0;

	for (int i = (int)net_family_bits(addr->family) / 8 - 1; i >= 0; i--) {
		unsigned sum = addr->bytes[i] + (unsigned)(count & 0xff) + carry;

		addr->bytes[i] = (uint8_t)sum;
		carry = sum >> 8;
		count >>= 8;
	}
	return carry == 0 && count == 0;
}

bool net_addr_next(struct net_addr *addr)
{
	return net_addr_add(addr, 1);
}

uint64_t net_addr_distance(const struct net_addr *from, const struct net_addr *to)
{
	unsigned size = net_family_bits(from->family) / 8, borrow = 0;
	uint8_t difference[16] = {0};
	uint64_t result = 0;

	if (from->family != to->family || net_addr_compare(from, to) > 0)
		return UINT64_MAX;
	for (unsigned i = 0; i < size; i++) { /* from the last byte to the first */
		unsigned byte = size - 1 - i;
		unsigned minuend = 0x100u + to->bytes[byte] - from->bytes[byte] - borrow;

		difference[i] = (uint8_t)minuend;
		borrow = minuend < 0x100;
	}
	for (unsigned i = 0; i < 16; i++) {
		if (i >= 8 && difference[i])
			return UINT64_MAX;
		if (i < 8)
			result |= (uint64_t)difference[i] << (8 * i);
	}
	return result;
}

bool net_addr_is_unspecified(const struct net_addr *addr)
{
	static const uint8_t zero[16];

	return !memcmp(addr->bytes, zero, sizeof(zero));
}

bool net_addr_is_loopback(const struct net_addr *addr)
{
	static const uint8_t one[16] = {[15] = 1};

	return addr->family == NET_IPV4 ? addr->bytes[0] == 127 : !memcmp(addr->bytes, one, 16);
}

bool net_addr_is_multicast(const struct net_addr *addr)
{
	return addr->family == NET_IPV4 ? addr->bytes[0] >> 4 == 14 : addr->bytes[0] == 0xff;
}

bool net_addr_is_link_local(const struct net_addr *addr)
{
	if (addr->family == NET_IPV4)
		return addr->bytes[0] == 169 && addr->bytes[1] == 254;
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

bool net_addr_is_unicast(const struct net_addr *addr)
{
	if (net_addr_is_unspecified(addr) || net_addr_is_loopback(addr) ||
		net_addr_is_multicast(addr))
		return false;
	/* 0.0.0.0/8 is "this network" (RFC 1122 3.2.1.3), 240.0.0.0/4 reserved, broadcast in it. */
	return addr->family != NET_IPV4 || (addr->bytes[0] != 0 && addr->bytes[0] < 240);
}

int net_prefix_compare(const struct net_prefix *a, const struct net_prefix *b)
{
	int order = net_addr_compare(&a->addr, &b->addr);

	return order ? order : (int)a->length - (int)b->length;
}

bool net_prefix_equal(const struct net_prefix *a, const struct net_prefix *b)
{
	return net_prefix_compare(a, b) == 0;
}

/* The mask of byte `i` of a prefix of that length. */
static uint8_t mask_byte(unsigned length, unsigned i)
{
	if (length >= 8 * (i + 1))
		return 0xff;
	return length <= 8 * i ? 0 : (uint8_t)(0xff00 >> (length - 8 * i));
}

struct net_prefix net_prefix_masked(const struct net_prefix *prefix)
{
	struct net_prefix masked = *prefix;

	for (unsigned i = 0; i < 16; i++)
		masked.addr.bytes[i] &= mask_byte(prefix->length, i);
	return masked;
}

bool net_prefix_has_host_bits(const struct net_prefix *prefix)
{
	struct net_prefix masked = net_prefix_masked(prefix);

	return !net_prefix_equal(&masked, prefix);
}

struct net_prefix net_prefix_of(const struct net_addr *addr)
{
	return (struct net_prefix){*addr, (uint8_t)net_family_bits(addr->family)};
}

bool net_prefix_contains(const struct net_prefix *prefix, const struct net_addr *addr)
{
	unsigned bytes = prefix->length / 8, bits = prefix->length % 8;

	if (prefix->addr.family != addr->family ||
		memcmp(prefix->addr.bytes, addr->bytes, bytes) != 0)
		return false;
	return bits == 0 ||
	       ((prefix->addr.bytes[bytes] ^ addr->bytes[bytes]) & mask_byte(bits, 0)) == 0;
}

bool net_prefix_covers(const struct net_prefix *outer, const struct net_prefix *inner)
{
	return outer->length <= inner->length && net_prefix_contains(outer, &inner->addr);
}

bool net_prefix_overlaps(const struct net_prefix *a, const struct net_prefix *b)
{
	return net_prefix_covers(a, b) || net_prefix_covers(b, a);
}

struct net_addr net_prefix_first(const struct net_prefix *prefix)
{
	return net_prefix_masked(prefix).addr;
}

struct net_addr net_prefix_last(const struct net_prefix *prefix)
{
	struct net_addr last = prefix->addr;

	for (unsigned i = 0; i < net_family_bits(last.family) / 8; i++)
		last.bytes[i] |= (uint8_t)~mask_byte(prefix->length, i);
	return last;
}

/* Are there host bits enough for the first address (and in IPv4 the last) to be set aside? */
static bool sets_aside(const struct net_prefix *prefix)
{
	return net_family_bits(prefix->addr.family) - prefix->length >= 2;
}

struct net_addr net_prefix_first_host(const struct net_prefix *prefix)
{
	struct net_addr first = net_prefix_first(prefix);

	if (sets_aside(prefix))
		net_addr_next(&first);
	return first;
}

struct net_addr net_prefix_last_host(const struct net_prefix *prefix)
{
	struct net_addr last = net_prefix_last(prefix);

	if (sets_aside(prefix) && last.family == NET_IPV4)
		last.bytes[3]--;
	return last;
}

bool net_prefix_is_host(const struct net_prefix *prefix, const struct net_addr *addr)
{
	struct net_addr first = net_prefix_first_host(prefix), last = net_prefix_last_host(prefix);

	return addr->family == prefix->addr.family && net_addr_compare(addr, &first) >= 0 &&
	       net_addr_compare(addr, &last) <= 0;
}

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool net_mac_is_zero(const struct net_mac *mac)
{
	static const struct net_mac zero;

	return net_mac_equal(mac, &zero);
}

bool net_mac_is_multicast(const struct net_mac *mac)
{
	return mac->bytes[0] & 1;
}

bool net_addr_from_eui64(
	const struct net_prefix *prefix, const struct net_mac *mac, struct net_addr *result)
{
	const uint8_t *m = mac->bytes;
	const uint8_t id[8] = {m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};

	if (prefix->addr.family != NET_IPV6 || prefix->length != 64)
		return false;
	*result = prefix->addr;
	memcpy(result->bytes + 8, id, sizeof(id));
	return true;
}
