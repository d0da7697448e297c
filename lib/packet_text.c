/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/packet_text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ETHERNET 14
#define VLAN_TAG 4
#define UDP 8
#define VXLAN 8
#define VXLAN_PORT 4789

struct reader {
	const uint8_t *data;
	size_t left;
	char *text;
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct reader *r, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(r->text + r->used, PACKET_TEXT - r->used, format, args);
	va_end(args);
	if (n > 0)
		r->used +=
			(size_t)n < PACKET_TEXT - r->used ? (size_t)n : PACKET_TEXT - r->used - 1;
}

static uint16_t get16(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

/* Moves on by `n` bytes; false when they are not there. */
static bool skip(struct reader *r, size_t n)
{
	if (r->left < n)
		return false;
	r->data += n;
	r->left -= n;
	return true;
}

static void say_flags(struct reader *r, uint8_t flags)
{
	static const char letters[] = "FSRP.UEW";

	say(r, " tcp ");
	for (unsigned bit = 0; bit < 8; bit++)
		if (flags & 1u << bit)
			say(r, "%c", letters[bit]);
}

static void say_udp(struct reader *r)
{
	say(r, " udp");
	if (r->left >= UDP + VXLAN && get16(r->data + 2) == VXLAN_PORT)
		say(r, " vxlan %u",
			(unsigned int)r->data[UDP + 4] << 16 | get16(r->data + UDP + 5));
}

/* What is behind the addresses; the ports, where there are some, have been said. */
static void say_transport(struct reader *r, uint8_t protocol)
{
	if (protocol == 6 && r->left >= 14)
		say_flags(r, r->data[13]);
	else if (protocol == 6)
		say(r, " tcp");
	else if (protocol == 17)
		say_udp(r);
	else if (protocol == 1 || protocol == 58)
		say(r, protocol == 1 ? " icmp" : " icmp6");
	else
		say(r, " protocol %u", protocol);
	if ((protocol == 1 || protocol == 58) && r->left >= 8) {
		bool echo = protocol == 1 ? r->data[0] == 8 || r->data[0] == 0
					  : r->data[0] == 128 || r->data[0] == 129;

		if (echo)
			say(r, " echo %s id %u seq %u",
				r->data[0] == 8 || r->data[0] == 128 ? "request" : "reply",
				get16(r->data + 4), get16(r->data + 6));
		else
			say(r, " type %u code %u", r->data[0], r->data[1]);
	}
}

static void say_ends(struct reader *r, int family, const uint8_t *src, const uint8_t *dst,
	uint8_t protocol, bool first, size_t header)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	bool ports;

	inet_ntop(family, src, source, sizeof(source));
	inet_ntop(family, dst, destination, sizeof(destination));
	if (!skip(r, header))
		r->left = 0;
	ports = first && (protocol == 6 || protocol == 17) && r->left >= 4;
	if (ports)
		say(r, "%s.%u > %s.%u:", source, get16(r->data), destination, get16(r->data + 2));
	else
		say(r, "%s > %s:", source, destination);
	if (first)
		say_transport(r, protocol);
	else
		say(r, " fragment of protocol %u", protocol);
}

static void say_ipv4(struct reader *r)
{
	const uint8_t *ip = r->data;

	if (r->left < 20 || ip[0] >> 4 != 4) {
		say(r, "ip, cut");
		return;
	}
	say_ends(r, AF_INET, ip + 12, ip + 16, ip[9], (get16(ip + 6) & 0x1fff) == 0,
		(size_t)(ip[0] & 15) * 4);
}

static void say_ipv6(struct reader *r)
{
	const uint8_t *ip = r->data;

	if (r->left < 40 || ip[0] >> 4 != 6) {
		say(r, "ip6, cut");
		return;
	}
	say_ends(r, AF_INET6, ip + 8, ip + 24, ip[6], ip[6] != 44, 40);
}

static void say_arp(struct reader *r)
{
	char sender[INET_ADDRSTRLEN], target[INET_ADDRSTRLEN];

	if (r->left < 28 || get16(r->data + 2) != 0x0800) {
		say(r, "arp");
		return;
	}
	inet_ntop(AF_INET, r->data + 14, sender, sizeof(sender));
	inet_ntop(AF_INET, r->data + 24, target, sizeof(target));
	if (get16(r->data + 6) == 1)
		say(r, "arp who-has %s tell %s", target, sender);
	else
		say(r, "arp %s is at %02x:%02x:%02x:%02x:%02x:%02x", sender, r->data[8], r->data[9],
			r->data[10], r->data[11], r->data[12], r->data[13]);
}

char *packet_text(const uint8_t *frame, size_t length, char *text)
{
	struct reader r = {.data = frame, .left = length, .text = text};
	uint16_t type;

	*text = '\0';
	if (length < ETHERNET) {
		say(&r, "cut");
		return text;
	}
	type = get16(frame + 12);
	skip(&r, ETHERNET);
	while ((type == 0x8100 || type == 0x88a8) && r.left >= VLAN_TAG) {
		say(&r, "vlan %u ", get16(r.data) & 0xfff);
		type = get16(r.data + 2);
		skip(&r, VLAN_TAG);
	}
	if (type == 0x0800)
		say_ipv4(&r);
	else if (type == 0x86dd)
		say_ipv6(&r);
	else if (type == 0x0806)
		say_arp(&r);
	else
		say(&r, "ethertype %04x", type);
	return text;
}
