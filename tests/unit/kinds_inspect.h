/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of test_kinds.c: indicator lists, inspections, alerts. */

static const struct good indicator_list_good[] = {
	GOOD_COMMON,
	{"entries", "[]"},
	{"entries", "[\"203.0.113.66/32\",\"198.51.100.0/24\",\"2001:DB8::/32\"]",
		"[\"203.0.113.66\",\"198.51.100.0/24\",\"2001:db8::/32\"]"},
	{"source", "\"a feed\""},
	{NULL},
};

static const struct bad indicator_list_bad[] = {
	BAD_COMMON,
	{"entries", "[\"evil.example\"]", "/entries/0", "is no"},
	{"entries", "[\"203.0.113.1/24\"]", "/entries/0", "host bits"},
	{"entries", "[\"203.0.113.1\",\"203.0.113.1\"]", "/entries/1", "twice"},
	{"source", "1", NULL, "must be a string"},
	{NULL},
};

static const struct good inspection_good[] = {
	GOOD_COMMON,
	{"scope", "{\"vpcs\":[\"a\",\"b\"]}"},
	{"scope", "{\"all\":true}"},
	{"detectors/0/type", "\"dns_tunnel\""},
	{"detectors/0/threshold", "1000000000"},
	{"detectors/0/window_s", "604800"},
	{"indicator_lists", "[\"botnets\"]"},
	{"action", "\"quarantine\""},
	{"duration_s", "604800"},
	{"first_packets", "1000"},
	{"sample", "0"},
	{"snaplen", "2048"},
	{NULL},
};

static const struct good inspection_mirror_good[] = {{"mirror", "\"tap\""}, {NULL}};
static const struct good inspection_quarantine_good[] = {
	{"quarantine_group", "\"forensics\""}, {NULL}};

static const struct bad inspection_bad[] = {
	BAD_COMMON,
	{"scope", "null", NULL, "is required"},
	{"scope", "{}", NULL, "exactly one"},
	{"scope", "{\"all\":false}", NULL, "exactly one"},
	{"scope", "{\"all\":true,\"vpc\":\"v\"}", NULL, "exactly one"},
	{"scope", "{\"vpcs\":[]}", "/scope/vpcs", "at least 1"},
	{"detectors", "[]", NULL, "at least 1"},
	{"detectors/0/type", "\"virus\"", NULL, "unknown value"},
	{"detectors/0/threshold", "0", NULL, "out of range"},
	{"detectors/0/window_s", "604801", NULL, "out of range"},
	{"detectors", "[{\"type\":\"beacon\"},{\"type\":\"beacon\"}]", "/detectors/1/type",
		"is there already"},
	{"indicator_lists", "[\"a\",\"a\"]", "/indicator_lists/1", "twice"},
	{"action", "\"block\"", NULL, "unknown value"},
	{"duration_s", "0", NULL, "out of range"},
	{"quarantine_group", "\"g\"", NULL, "only with action quarantine"},
	{"mirror", "\"m\"", NULL, "only with it"},
	{"action", "\"mirror\"", "/mirror", "goes with action mirror"},
	{"first_packets", "0", NULL, "out of range"},
	{"sample", "-1", NULL, "out of range"},
	{"snaplen", "63", NULL, "out of range"},
	{NULL},
};

static const struct good alert_good[] = {
	GOOD_COMMON,
	{"time", "\"2026-01-31T12:00:00Z\"", "\"2026-01-31T12:00:00.000Z\""},
	{"inspection", "\"i\""},
	{"detector", "\"volume\""},
	{"vpc", "\"v\""},
	{"node", "\"host-a\""},
	{"port", "\"p\""},
	{"source", "\"2001:DB8::1\"", "\"2001:db8::1\""},
	{"targets", "[\"10.0.0.1:22\"]"},
	{"count", "0"},
	{"evidence", "{\"flow\":\"tcp\",\"slow\":true,\"packets\":\"Cg==\"}"},
	{"action_taken", "\"quarantine\""},
	{"answer", "\"forensics\""},
	{NULL},
};

static const struct bad alert_bad[] = {
	BAD_COMMON,
	{"time", "\"yesterday\"", NULL, "RFC 3339"},
	{"inspection", "null", NULL, "is required"},
	{"detector", "\"virus\"", NULL, "unknown value"},
	{"vpc", "\"V\"", NULL, "is no name"},
	{"node", "\"N\"", NULL, "is no name"},
	{"port", "\"P\"", NULL, "is no name"},
	{"source", "\"10.0.0.0/8\"", NULL, "is no"},
	{"targets", "\"x\"", NULL, "must be a list"},
	{"count", "-1", NULL, "out of range"},
	{"evidence", "{\"x\":1}", "/evidence/x", "unknown field"},
	{"action_taken", "\"none\"", NULL, "unknown value"},
	{"answer", "\"A\"", NULL, "is no name"},
	{NULL},
};
