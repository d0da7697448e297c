// SPDX-License-Identifier: Apache-2.0
/*
 * Values that are no object, list or union: is the text right, and what is its canonical form?
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/net.h"
#include "lib/resource_internal.h"
#include "lib/time_text.h"

/* The value itself when its text is canonical already, so that nothing is copied. */
static bool keep_or_replace(const json_t *in, const char *canonical, json_t **out)
{
	if (json_is_string(in) && !strcmp(json_string_value(in), canonical))
		*out = json_incref((json_t *)in);
	else
		*out = json_string(canonical);
	return true;
}

static bool keep(const json_t *in, json_t **out)
{
	*out = json_incref((json_t *)in);
	return true;
}

static bool wrong_type(struct resource_error *error, const char *expected, const json_t *in)
{
	return resource_fail(error, "", "must be %s, not %s", expected, resource_json_type(in));
}

static bool scalar_string(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in);
	int64_t length = (int64_t)json_string_length(in), max = field->max ? field->max : 1024;

	if (length < field->min)
		return resource_fail(error, "", "must not be empty");
	if (length > max)
		return resource_fail(error, "", "is %lld bytes long: at most %lld are allowed",
			(long long)length, (long long)max);
	for (const char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\n' && *c != '\t')
			return resource_fail(error, "", "contains the control character 0x%02x",
				(unsigned char)*c);
	return keep(in, out);
}

static bool scalar_integer(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	json_int_t value;

	if (!json_is_integer(in))
		return json_is_real(in) ? resource_fail(error, "", "must be a whole number")
					: wrong_type(error, "a number", in);
	value = json_integer_value(in);
	if ((field->min || field->max) && (value < field->min || value > field->max))
		return resource_fail(error, "",
			"%" JSON_INTEGER_FORMAT " is out of range: %lld to %lld is allowed", value,
			(long long)field->min, (long long)field->max);
	return keep(in, out);
}

static bool scalar_boolean(const json_t *in, json_t **out, struct resource_error *error)
{
	return json_is_boolean(in) ? keep(in, out) : wrong_type(error, "true or false", in);
}

static bool scalar_enum(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	const char *choices[32], *text = json_string_value(in);
	size_t count = 0;

	for (const struct field_value *v = field->values; v->name; v++) {
		if (!strcmp(v->name, text))
			return keep(in, out);
		if (count < 32)
			choices[count++] = v->name;
	}
	return resource_fail_choice(error, "", "unknown value", text, choices, count);
}

static bool scalar_kind(const json_t *in, json_t **out, struct resource_error *error)
{
	const char *choices[64], *text = json_string_value(in);
	const struct kind *kind;
	size_t count = 0;

	if (kind_find(text))
		return keep(in, out);
	KIND_FOREACH(kind)
	if (count < 64)
		choices[count++] = kind->name;
	return resource_fail_choice(error, "", "unknown kind", text, choices, count);
}

/* RESOURCE_NAME_PATTERN by hand. */
static bool name_is_valid(const char *text, size_t length)
{
	if (length == 0 || length > RESOURCE_NAME_MAX || text[0] == '-' || text[length - 1] == '-')
		return false;
	for (size_t i = 0; i < length; i++)
		if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= '0' && text[i] <= '9') &&
			text[i] != '-')
			return false;
	return true;
}

static bool scalar_name(const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in);

	if (name_is_valid(text, json_string_length(in)))
		return keep(in, out);
	return resource_fail(error, "",
		"\"%.64s\" is no name: 1 to 63 of a-z, 0-9 and -, with a letter or digit first and "
		"last",
		text);
}

static const char *family_name(uint8_t family)
{
	return family == NET_IPV4 ? "IPv4" : family == NET_IPV6 ? "IPv6" : "IPv4 or IPv6";
}

/* An IPv4 address in IPv6 clothes would be a second name for the same machine. */
static bool is_mapped(const struct net_addr *addr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return addr->family == NET_IPV6 && !memcmp(addr->bytes, mapped, sizeof(mapped));
}

static bool check_family(const struct field *field, const struct net_addr *addr, const char *text,
	struct resource_error *error)
{
	if (is_mapped(addr))
		return resource_fail(
			error, "", "%s is an IPv4 address in IPv6 form: write it as IPv4", text);
	if (field->family && field->family != addr->family)
		return resource_fail(error, "", "%s is %s: it must be %s", text,
			family_name(addr->family), family_name(field->family));
	return true;
}

static bool scalar_address(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in);
	char canonical[NET_ADDR_TEXT];
	struct net_addr addr;

	if (!net_addr_parse(text, &addr))
		return resource_fail(
			error, "", "\"%.64s\" is no %s address", text, family_name(field->family));
	if (!check_family(field, &addr, text, error))
		return false;
	return keep_or_replace(in, net_addr_format(&addr, canonical), out);
}

static bool scalar_prefix(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	bool bare_allowed = field->type == FIELD_ADDRESS_OR_CIDR;
	char canonical[NET_PREFIX_TEXT];
	struct net_prefix prefix, masked;
	const char *text = json_string_value(in);

	if (!net_prefix_parse_any(text, &prefix))
		return resource_fail(error, "", "\"%.64s\" is no %s%s", text,
			bare_allowed ? "address or CIDR" : "CIDR",
			bare_allowed ? "" : " such as 10.0.0.0/16 or fd00::/48");
	if (!bare_allowed && !strchr(text, '/'))
		return resource_fail(error, "", "%s has no prefix length: did you mean %s?", text,
			net_prefix_format(&prefix, canonical));
	if (!check_family(field, &prefix.addr, text, error))
		return false;
	masked = net_prefix_masked(&prefix);
	if (!net_prefix_equal(&prefix, &masked))
		return resource_fail(error, "", "%s has host bits set: did you mean %s?", text,
			net_prefix_format(&masked, canonical));
	if (bare_allowed && prefix.length == net_family_bits(prefix.addr.family))
		return keep_or_replace(in, net_addr_format(&prefix.addr, canonical), out);
	return keep_or_replace(in, net_prefix_format(&prefix, canonical), out);
}

static bool scalar_mac(const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in);
	char canonical[NET_MAC_TEXT];
	struct net_mac mac;

	if (!net_mac_parse(text, &mac))
		return resource_fail(
			error, "", "\"%.64s\" is no MAC address such as 02:00:5e:10:00:01", text);
	if (net_mac_is_zero(&mac) || net_mac_is_multicast(&mac))
		return resource_fail(error, "", "%s is no MAC address of one machine", text);
	return keep_or_replace(in, net_mac_format(&mac, canonical), out);
}

static bool scalar_ports(const json_t *in, json_t **out, struct resource_error *error)
{
	char canonical[16];
	struct net_ports ports;

	if (json_is_integer(in)) {
		json_int_t port = json_integer_value(in);

		if (port < 0 || port > UINT16_MAX)
			return resource_fail(error, "",
				"%" JSON_INTEGER_FORMAT " is no port: 0 to 65535 is allowed", port);
		ports = (struct net_ports){(uint16_t)port, (uint16_t)port};
	} else if (!json_is_string(in)) {
		return wrong_type(error, "a string such as \"443\" or \"8000-8999\"", in);
	} else if (!net_ports_parse(json_string_value(in), &ports)) {
		return resource_fail(error, "",
			"\"%.64s\" is no port or range such as \"443\" or \"8000-8999\" (0 to "
			"65535)",
			json_string_value(in));
	}
	if (ports.first == ports.last)
		snprintf(canonical, sizeof(canonical), "%u", ports.first);
	else
		snprintf(canonical, sizeof(canonical), "%u-%u", ports.first, ports.last);
	return keep_or_replace(in, canonical, out);
}

static const struct {
	const char *name;
	int number;
} protocols[] = {{"any", -1}, {"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmpv6", 58}};

/* The number of a protocol's name or digits; -1 is any, -2 an error. */
static int protocol_parse(const char *text)
{
	unsigned value = 0;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (!strcmp(protocols[i].name, text))
			return protocols[i].number;
	if (!*text || strlen(text) > 3)
		return -2;
	for (; isdigit((unsigned char)*text); text++)
		value = value * 10 + (unsigned)(*text - '0');
	return *text || value > 255 ? -2 : (int)value;
}

static bool scalar_protocol(const json_t *in, json_t **out, struct resource_error *error)
{
	int number = -2;

	if (json_is_string(in))
		number = protocol_parse(json_string_value(in));
	else if (!json_is_integer(in))
		return wrong_type(error, "a string or number", in);
	else if (json_integer_value(in) >= 0 && json_integer_value(in) <= 255)
		number = (int)json_integer_value(in);
	if (number == -2)
		return resource_fail(error, "",
			"unknown protocol: it can be one of: tcp, udp, icmp, icmpv6, any, or a "
			"number from 0 to 255");
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].number == number)
			return keep_or_replace(in, protocols[i].name, out);
	*out = json_integer(number);
	return true;
}

static bool scalar_ifname(const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in);
	size_t length = json_string_length(in);
	bool valid = length >= 1 && length <= 15 && strcmp(text, ".") && strcmp(text, "..");

	/* What the kernel's dev_valid_name refuses, and bytes that break terminals. */
	for (const char *c = text; valid && *c; c++)
		valid = isgraph((unsigned char)*c) && *c != '/' && *c != ':' && *c != '%';
	if (!valid)
		return resource_fail(error, "",
			"\"%.64s\" is no interface name: 1 to 15 visible characters without / : "
			"%%",
			text);
	return keep(in, out);
}

static bool path_is_valid(const char *text, size_t max)
{
	size_t length = strlen(text);

	if (text[0] != '/' || length < 2 || length > max)
		return false;
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

static bool scalar_path(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	size_t max = field->max ? (size_t)field->max : 1024;

	if (path_is_valid(json_string_value(in), max))
		return keep(in, out);
	return resource_fail(error, "",
		"\"%.64s\" is no absolute file name of at most %zu characters, such as "
		"/run/vm/p1.sock",
		json_string_value(in), max);
}

static bool scalar_netns(const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in);
	size_t length = json_string_length(in);
	bool valid = length > 0 && length <= 255 && strcmp(text, ".") && strcmp(text, "..");

	if (text[0] == '/')
		valid = path_is_valid(text, 1024);
	else
		for (const char *c = text; valid && *c; c++)
			valid = isgraph((unsigned char)*c) && *c != '/';
	if (!valid)
		return resource_fail(error, "",
			"\"%.64s\" is no network namespace: a name under /run/netns or an absolute "
			"file name",
			text);
	return keep(in, out);
}

static bool scalar_url_rpc(const json_t *in, json_t **out, struct resource_error *error)
{
	const char *text = json_string_value(in), *colon = strrchr(text, ':');
	struct net_ports port;

	if (path_is_valid(text, 107)) /* what fits sockaddr_un */
		return keep(in, out);
	if (!strncmp(text, "tls://", 6) && colon > text + 6 && colon - text < 256 &&
		net_ports_parse(colon + 1, &port) && port.first == port.last && port.first)
		return keep(in, out);
	return resource_fail(error, "",
		"\"%.64s\" is no RPC address: the absolute name of a Unix socket (at most 107 "
		"characters), or tls://HOST:PORT",
		text);
}

/*
 * Canonical to the millisecond, as the times that we write. Those are cut off, so that something of the very
 * millisecond may be later than a finer time: that one begins a millisecond before.
 */
static bool scalar_time(const json_t *in, json_t **out, struct resource_error *error)
{
	char canonical[TIME_TEXT];
	bool ok = true, finer = false;
	int64_t ms = 0;

	if (json_is_number(in)) {
		double seconds = json_number_value(in);

		ok = seconds >= 0 && seconds < (double)TIME_TEXT_MAX_MS / 1000;
		ms = ok ? (int64_t)(seconds * 1000) : 0;
		finer = json_is_real(in);
	} else if (json_is_string(in)) {
		ok = time_text_parse(json_string_value(in), &ms, &finer);
	} else {
		return wrong_type(error, "a time such as \"2026-01-31T12:00:00Z\"", in);
	}
	if (!ok)
		return json_is_string(in)
			       ? resource_fail(error, "",
					 "\"%.64s\" is no time such as 2026-01-31T12:00:00Z (RFC "
					 "3339)",
					 json_string_value(in))
			       : resource_fail(error, "", "is no time in seconds since 1970");
	return keep_or_replace(in, time_text_format(finer && ms > 0 ? ms - 1 : ms, canonical), out);
}

bool resource_scalar(
	const struct field *field, const json_t *in, json_t **out, struct resource_error *error)
{
	switch (field->type) {
	case FIELD_INTEGER:
		return scalar_integer(field, in, out, error);
	case FIELD_BOOLEAN:
		return scalar_boolean(in, out, error);
	case FIELD_PORTS:
		return scalar_ports(in, out, error);
	case FIELD_PROTOCOL:
		return scalar_protocol(in, out, error);
	case FIELD_TIME:
		return scalar_time(in, out, error);
	default:
		break;
	}
	if (!json_is_string(in))
		return wrong_type(error, "a string", in);
	switch (field->type) {
	case FIELD_STRING:
		return scalar_string(field, in, out, error);
	case FIELD_ENUM:
		return scalar_enum(field, in, out, error);
	case FIELD_KIND:
		return scalar_kind(in, out, error);
	case FIELD_NAME:
	case FIELD_REF:
		return scalar_name(in, out, error);
	case FIELD_ADDRESS:
		return scalar_address(field, in, out, error);
	case FIELD_CIDR:
	case FIELD_ADDRESS_OR_CIDR:
		return scalar_prefix(field, in, out, error);
	case FIELD_MAC:
		return scalar_mac(in, out, error);
	case FIELD_IFNAME:
		return scalar_ifname(in, out, error);
	case FIELD_PATH:
		return scalar_path(field, in, out, error);
	case FIELD_NETNS:
		return scalar_netns(in, out, error);
	case FIELD_URL_RPC:
		return scalar_url_rpc(in, out, error);
	default:
		return resource_fail(error, "", "cannot be given");
	}
}
