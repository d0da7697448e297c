/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as they are given, brought into their canonical form. */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "policy/policy_internal.h"

static int __attribute__((format(printf, 3, 4)))
fail(char *reason, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, size, fmt, args);
	va_end(args);
	return -EINVAL;
}

static int key_make(
	struct remote_key *key, const struct policy_rule *rule, char *reason, size_t size)
{
	const struct ip_prefix *p = &rule->remote_prefix;

	key->direction = (uint8_t)rule->direction;
	key->kind = (uint8_t)rule->remote;
	switch (rule->remote) {
	case POLICY_REMOTE_ANY:
		return 0;
	case POLICY_REMOTE_PREFIX:
		if (!ip_prefix_is_valid(p))
			return fail(reason, size, "remote prefix has host bits set");
		key->prefix_len = p->len;
		key->addr = p->addr;
		return 0;
	case POLICY_REMOTE_GROUP:
	case POLICY_REMOTE_PREFIX_LIST:
		key->id = rule->remote_id;
		return 0;
	}
	return fail(reason, size, "unknown kind of remote %d", (int)rule->remote);
}

static int ports_make(struct rule_spec *spec, const struct policy_rule *rule)
{
	spec->class = rule->protocol == IPPROTO_TCP ? CLASS_TCP : CLASS_UDP;
	spec->first = rule->port_first;
	spec->last = rule->port_last;
	return 0;
}

static int icmp_make(
	struct rule_spec *spec, const struct policy_rule *rule, char *reason, size_t size)
{
	int type = rule->icmp_type, code = rule->icmp_code;

	if (type < POLICY_ANY || type > UINT8_MAX)
		return fail(reason, size, "ICMP type %d is not 0..255", type);
	if (code < POLICY_ANY || code > UINT8_MAX)
		return fail(reason, size, "ICMP code %d is not 0..255", code);
	if (type == POLICY_ANY && code != POLICY_ANY)
		return fail(reason, size, "an ICMP code needs a type");
	spec->class = rule->protocol == IPPROTO_ICMP ? CLASS_ICMP : CLASS_ICMP6;
	spec->first =
		(uint16_t)(type == POLICY_ANY ? 0 : type << 8 | (code == POLICY_ANY ? 0 : code));
	spec->last =
		(uint16_t)(type == POLICY_ANY ? UINT16_MAX
					      : type << 8 | (code == POLICY_ANY ? 0xff : code));
	return 0;
}

static int match_make(
	struct rule_spec *spec, const struct policy_rule *rule, char *reason, size_t size)
{
	bool tcp_udp = rule->protocol == IPPROTO_TCP || rule->protocol == IPPROTO_UDP;
	bool icmp = rule->protocol == IPPROTO_ICMP || rule->protocol == IPPROTO_ICMPV6;

	if (rule->protocol < POLICY_ANY || rule->protocol > UINT8_MAX)
		return fail(reason, size, "protocol %d is not 0..255", rule->protocol);
	if (rule->port_first > rule->port_last)
		return fail(reason, size, "port range %u-%u is reversed", rule->port_first,
			rule->port_last);
	if (!tcp_udp && (rule->port_first != 0 || rule->port_last != UINT16_MAX))
		return fail(reason, size, "ports are for TCP and UDP only");
	if (!icmp && (rule->icmp_type != POLICY_ANY || rule->icmp_code != POLICY_ANY))
		return fail(reason, size, "type and code are for ICMP and ICMPv6 only");
	if (tcp_udp)
		return ports_make(spec, rule);
	if (icmp)
		return icmp_make(spec, rule, reason, size);
	if (rule->protocol == POLICY_ANY) {
		spec->class = CLASS_ANY;
		spec->last = UINT16_MAX;
	} else {
		spec->class = CLASS_OTHER;
		spec->first = spec->last = (uint16_t)rule->protocol;
	}
	return 0;
}

int rule_spec_make(
	struct rule_spec *spec, const struct policy_rule *rule, char *reason, size_t size)
{
	*spec = (struct rule_spec){0};
	if (rule->direction != POLICY_INGRESS && rule->direction != POLICY_EGRESS)
		return fail(reason, size, "unknown direction %d", (int)rule->direction);
	if (rule->action != POLICY_ALLOW && rule->action != POLICY_DENY)
		return fail(reason, size, "unknown action %d", (int)rule->action);
	if (rule->priority < POLICY_PRIORITY_MIN || rule->priority > POLICY_PRIORITY_MAX)
		return fail(reason, size, "priority %u is not %d..%d", rule->priority,
			POLICY_PRIORITY_MIN, POLICY_PRIORITY_MAX);
	spec->rank = (uint16_t)(rule->priority * 2 + (rule->action == POLICY_ALLOW));
	int rc = key_make(&spec->key, rule, reason, size);
	return rc ? rc : match_make(spec, rule, reason, size);
}

int policy_rule_check(const struct policy_rule *rule, char *reason, size_t size)
{
	struct rule_spec spec;

	return rule_spec_make(&spec, rule, reason, size);
}
