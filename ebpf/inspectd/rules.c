/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/net.h"
#include "sync.h"

#define VNI_TEXT 12
#define NS 1000000000ULL

static const struct {
	const char *name;
	struct sight_rule rule;
} detectors[SIGHT_DETECTORS] = {
#define X(symbol, name, threshold, window) [symbol] = {name, {threshold, window}},
	SIGHT_DETECTORS_X(X)
#undef X
};

const char *rules_detector(enum sight_detector detector)
{
	return detector < SIGHT_DETECTORS ? detectors[detector].name : "unknown";
}

static int find_detector(const char *name)
{
	for (int i = 0; i < SIGHT_DETECTORS; i++)
		if (name != NULL && strcmp(name, detectors[i].name) == 0)
			return i;
	return -1;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static uint32_t number_of(const json_t *object, const char *key, uint32_t otherwise)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 && value <= UINT32_MAX ? (uint32_t)value : otherwise;
}

static char *vni_text(uint32_t vni, char text[VNI_TEXT])
{
	snprintf(text, VNI_TEXT, "%u", vni);
	return text;
}

const char *rules_inspection(const struct rules *r, uint32_t vni, enum sight_detector detector)
{
	char key[VNI_TEXT];

	return json_string_value(json_object_get(
		json_object_get(r->vpcs, vni_text(vni, key)), rules_detector(detector)));
}

const char *rules_list(const struct rules *r, uint32_t list)
{
	return json_string_value(json_array_get(r->lists, list));
}

bool rules_get(const struct programs *p, uint32_t vni, enum sight_detector detector,
	struct sight_rule *rule)
{
	struct sight_vpc vpc;

	if (detector >= SIGHT_DETECTORS ||
		bpf_map_lookup_elem(programs_map(p, "vpcs"), &vni, &vpc) < 0)
		return false;
	*rule = vpc.rules[detector];
	return rule->threshold > 0;
}

/* ---- VPCs ---- */

/* Counting by bits ends where all are set. */
static uint32_t highest(int detector)
{
	switch (detector) {
	case SIGHT_PORT_SCAN:
	case SIGHT_HOST_SCAN:
	case SIGHT_ICMP_SWEEP:
	case SIGHT_FIRST_CONTACT:
	case SIGHT_DNS_TUNNEL:
		return SIGHT_SPREAD_MAX;
	default:
		return UINT32_MAX;
	}
}

/* Of two inspections the one with the lower threshold holds. */
static void take_detector(struct sight_vpc *vpc, json_t *names, const json_t *one)
{
	int d = find_detector(text_of(one, "type"));
	uint32_t threshold;

	if (d < 0)
		return;
	threshold = number_of(one, "threshold", detectors[d].rule.threshold);
	if (threshold > highest(d))
		threshold = highest(d);
	if (vpc->rules[d].threshold != 0 && vpc->rules[d].threshold <= threshold)
		return;
	vpc->rules[d].threshold = threshold;
	vpc->rules[d].window_s = number_of(one, "window_s", detectors[d].rule.window_s);
	if (d == SIGHT_FIRST_CONTACT)
		vpc->learn_s = number_of(one, "learn_s", 0);
	json_object_set_new(names, detectors[d].name, json_string(text_of(one, "inspection")));
}

/* Learning goes on from where it was, over restarts too, unless its time has been changed. */
static uint64_t learn_until(const struct programs *p, uint32_t vni, const struct sight_vpc *vpc)
{
	struct sight_vpc old;

	if (vpc->rules[SIGHT_FIRST_CONTACT].threshold == 0 || vpc->learn_s == 0)
		return 0;
	if (bpf_map_lookup_elem(programs_map(p, "vpcs"), &vni, &old) == 0 &&
		old.rules[SIGHT_FIRST_CONTACT].threshold != 0 && old.learn_s == vpc->learn_s)
		return old.learn_until_ns;
	return programs_now_ns() + vpc->learn_s * NS;
}

static int bad(char why[RULES_WHY], const char *what, const char *text)
{
	snprintf(why, RULES_WHY, "%s: %.200s", what, text);
	return -EINVAL;
}

/* An address or CIDR as 128 bits, IPv4 behind ::ffff:0:0/96. False: it is neither. */
static bool take_prefix(const char *text, union sight_addr *address, uint32_t *bits)
{
	struct net_prefix prefix;

	if (text == NULL || !net_prefix_parse_any(text, &prefix))
		return false;
	memset(address, 0, sizeof(*address));
	if (prefix.addr.family == NET_IPV4) {
		address->b[10] = address->b[11] = 0xff;
		memcpy(address->b + 12, prefix.addr.bytes, 4);
		*bits = 96U + prefix.length;
	} else {
		memcpy(address->b, prefix.addr.bytes, 16);
		*bits = prefix.length;
	}
	return true;
}

static int take_prefixes(
	struct sync *prefixes, uint32_t vni, const json_t *list, char why[RULES_WHY])
{
	struct sight_prefix_key key = {.vni = htonl(vni)};
	const uint32_t there = 1;
	json_t *one;
	size_t i;

	json_array_foreach ((json_t *)list, i, one) {
		if (!take_prefix(json_string_value(one), &key.address, &key.prefix_bits))
			return bad(why, "no prefix", text_of(one, ""));
		key.prefix_bits += 32;
		if (!sync_add(prefixes, &key, &there))
			return -ENOMEM;
	}
	return 0;
}

static int take_vpc(struct rules *r, const struct programs *p, struct sync *vpcs,
	struct sync *prefixes, const json_t *one, char why[RULES_WHY])
{
	uint32_t vni = number_of(one, "vni", 0);
	const json_t *own = json_object_get(one, "prefixes");
	json_t *names = json_object(), *detector;
	struct sight_vpc vpc = {.has_prefixes = json_array_size(own) > 0};
	char key[VNI_TEXT];
	size_t i;

	json_object_set_new(r->vpcs, vni_text(vni, key), names);
	if (vni == 0 || vni > 0xffffff)
		return bad(why, "no VNI", text_of(one, "vpc"));
	json_array_foreach (json_object_get(one, "detectors"), i, detector)
		take_detector(&vpc, names, detector);
	vpc.learn_until_ns = learn_until(p, vni, &vpc);
	if (!sync_add(vpcs, &vni, &vpc))
		return -ENOMEM;
	return take_prefixes(prefixes, vni, own, why);
}

/* ---- lists ---- */

/* Whose lists are not told has all. */
static bool looks_for(const json_t *vpc, const char *list)
{
	json_t *lists = json_object_get(vpc, "lists"), *one;
	size_t i;

	json_array_foreach (lists, i, one)
		if (strcmp(json_string_value(one) != NULL ? json_string_value(one) : "", list) == 0)
			return true;
	return lists == NULL;
}

static int take_entries(struct sync *indicators, uint32_t vni, uint32_t index, const json_t *list,
	char why[RULES_WHY])
{
	struct sight_prefix_key key = {.vni = htonl(vni)};
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(list, "entries"), i, entry) {
		if (!take_prefix(json_string_value(entry), &key.address, &key.prefix_bits))
			return bad(
				why, "no address in a list of indicators", text_of(list, "list"));
		key.prefix_bits += 32;
		if (!sync_add(indicators, &key, &index))
			return -ENOMEM;
	}
	return 0;
}

/* For each VPC that looks for it: what a tenant lists is nothing to others. */
static int take_list(struct rules *r, struct sync *indicators, const json_t *one,
	const json_t *vpcs, char why[RULES_WHY])
{
	uint32_t index = (uint32_t)json_array_size(r->lists);
	json_t *vpc;
	int rc = 0;
	size_t i;

	json_array_append_new(r->lists, json_string(text_of(one, "list")));
	json_array_foreach (vpcs, i, vpc)
		if (rc == 0 && looks_for(vpc, text_of(one, "list")))
			rc = take_entries(indicators, number_of(vpc, "vni", 0), index, one, why);
	return rc;
}

/* ---- all of it ---- */

static int first_of(int a, int b)
{
	return a < 0 ? a : b;
}

static int apply(
	const struct programs *p, struct sync *vpcs, struct sync *prefixes, struct sync *indicators)
{
	bool changed = false, listed = false;
	int rc = sync_end(prefixes, programs_map(p, "prefixes"), &changed);

	rc = first_of(rc, sync_end(indicators, programs_map(p, "indicators"), &listed));
	if (listed) /* running flows are compared again */
		p->state->indicators++;
	return first_of(rc, sync_end(vpcs, programs_map(p, "vpcs"), &changed));
}

int rules_obey(struct rules *r, const struct programs *p, const json_t *answer, char why[RULES_WHY])
{
	struct rules fresh = {.vpcs = json_object(), .lists = json_array()};
	struct sync vpcs, prefixes, indicators;
	json_t *one;
	size_t i;
	int rc = 0;

	sync_begin(&vpcs, sizeof(uint32_t), sizeof(struct sight_vpc));
	sync_begin(&prefixes, sizeof(struct sight_prefix_key), sizeof(uint32_t));
	sync_begin(&indicators, sizeof(struct sight_prefix_key), sizeof(uint32_t));
	snprintf(why, RULES_WHY, "a table is full");
	json_array_foreach (json_object_get(answer, "vpcs"), i, one)
		if (rc == 0)
			rc = take_vpc(&fresh, p, &vpcs, &prefixes, one, why);
	json_array_foreach (json_object_get(answer, "indicators"), i, one)
		if (rc == 0)
			rc = take_list(
				&fresh, &indicators, one, json_object_get(answer, "vpcs"), why);
	if (rc < 0) {
		sync_free(&vpcs);
		sync_free(&prefixes);
		sync_free(&indicators);
		rules_free(&fresh);
		return rc;
	}
	rc = apply(p, &vpcs, &prefixes, &indicators);
	p->state->sample = number_of(answer, "sample", 1);
	fresh.revision = json_integer_value(json_object_get(answer, "revision"));
	rules_free(r);
	*r = fresh;
	return rc;
}

void rules_free(struct rules *r)
{
	json_decref(r->vpcs);
	json_decref(r->lists);
	*r = (struct rules){0};
}
