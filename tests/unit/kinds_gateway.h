/* SPDX-License-Identifier: Apache-2.0 */
/* Cases of test_kinds.c: EIP pools, EIPs, NAT gateways, load balancers, routes to outside networks. */

static const struct good eip_pool_good[] = {
	GOOD_COMMON,
	{"cidr", "\"2001:DB8::/32\"", "\"2001:db8::/32\""},
	{"cidr", "\"203.0.113.7/32\""},
	{"node", "\"gw\""},
	{"external", "\"internet\""},
	{NULL},
};

static const struct bad eip_pool_bad[] = {
	BAD_COMMON,
	{"cidr", "null", NULL, "is required"},
	{"cidr", "\"198.51.100.1/24\"", NULL, "host bits"},
	{"cidr", "\"239.0.0.0/8\"", NULL, "multicast"},
	{"cidr", "\"fe80::/64\"", NULL, "link local"},
	{"node", "\"GW\"", NULL, "is no name"},
	{"external", "\"the internet\"", NULL, "is no name"},
	{NULL},
};

static const struct good eip_good[] = {
	GOOD_COMMON,
	{"address", "\"203.0.113.7\""},
	{"address", "\"2001:DB8::7\"", "\"2001:db8::7\""},
	{"pool", "\"public\""},
	{"node", "\"gw\""},
	{"external", "\"internet\""},
	{"bandwidth_mbps", "10000000"},
	{"new_per_s", "1"},
	{"port", "\"web1\""},
	{"deny_cidrs", "[\"203.0.113.0/24\",\"198.51.100.7/32\"]",
		"[\"203.0.113.0/24\",\"198.51.100.7\"]"},
	{"blackhole", "true"},
	{NULL},
};

static const struct good eip_bound_good[] = {{"private_address", "\"10.0.1.10\""}, {NULL}};

static const struct bad eip_bad[] = {
	BAD_COMMON,
	{"address", "\"224.0.0.1\"", NULL, "no address of one machine"},
	{"address", "\"fe80::1\"", NULL, "no address of one machine"},
	{"address", "\"198.51.100.0/24\"", NULL, "is no"},
	{"pool", "null", NULL, "is required: give pool, address or both"},
	{"node", "[]", NULL, "must be a string"},
	{"external", "\"\"", NULL, "is no name"},
	{"bandwidth_mbps", "-1", NULL, "out of range"},
	{"new_per_s", "100000001", NULL, "out of range"},
	{"port", "\"Web\"", NULL, "is no name"},
	{"private_address", "\"10.0.1.10\"", NULL, "needs port beside it"},
	{"deny_cidrs", "[\"x\"]", "/deny_cidrs/0", "is no"},
	{"blackhole", "1", NULL, "true or false"},
	{NULL},
};

static const struct bad eip_bound_bad[] = {
	{"private_address", "\"10.0.1.0/24\"", NULL, "is no"},
	{"private_address", "\"fd00::1\"", NULL, "different families"},
	{"deny_cidrs", "[\"203.0.113.0/24\",\"fd00::/8\"]", "/deny_cidrs/1", "different families"},
	{NULL},
};

#define SNAT(more) "[{\"source\":\"10.0.0.0/16\",\"eips\":[],\"nat64\":false" more "}]"
#define DNAT(port, more)                                                                           \
	"{\"eip\":\"e\",\"protocol\":\"tcp\",\"port\":\"" port                                     \
	"\",\"to_address\":\"10.0.1.1\"" more "}"

static const struct good nat_good[] = {
	GOOD_COMMON,
	{"vpc", "\"other\""},
	{"node", "\"gw\""},
	{"eips", "[\"e\",\"f\"]"},
	{"snat", SNAT("")},
	{"snat", "[{\"subnet\":\"s\"}]", "[{\"subnet\":\"s\",\"eips\":[],\"nat64\":false}]"},
	{"dnat", "[" DNAT("80", "") "," DNAT("81-90", ",\"to_port\":8080") "]"},
	{"mapping", "\"endpoint_dependent\""},
	{"filtering", "\"address\""},
	{"port_block", "32256"},
	{"hairpin", "false"},
	{"limits", "{\"per_port\":5}", "{\"per_port\":5,\"per_vpc\":0}"},
	{"quarantine_s", "0"},
	{"log", "\"session\""},
	{"timeouts", "{\"udp_s\":30}",
		"{\"tcp_established_s\":7440,\"tcp_transitory_s\":240,\"udp_s\":30,\"icmp_s\":60}"},
	{NULL},
};

static const struct bad nat_bad[] = {
	BAD_COMMON,
	{"vpc", "null", NULL, "is required"},
	{"node", "7", NULL, "must be a string"},
	{"eips", "[]", NULL, "at least 1 item"},
	{"eips", "null", NULL, "at least 1 item"},
	{"eips", "[\"e\",\"e\"]", "/eips/1", "twice"},
	{"snat", "[{}]", "/snat/0/source", "give source or subnet"},
	{"snat", "[{\"source\":\"10.0.0.0/8\",\"subnet\":\"s\"}]", "/snat/0/subnet", "not both"},
	{"snat", "[{\"source\":\"10.0.0.1/8\"}]", "/snat/0/source", "host bits"},
	{"snat", "[{\"source\":\"10.0.0.0/8\",\"nat64\":true}]", "/snat/0/nat64", "IPv6 sources"},
	{"snat", "[{\"source\":\"10.0.0.0/8\",\"eips\":[\"f\"]}]", "/snat/0/eips/0", "not among"},
	{"snat", "[{\"subnet\":\"s\"},{\"subnet\":\"s\"}]", "/snat/1", "same source as entry 0"},
	{"dnat", "[" DNAT("80-79", "") "]", "/dnat/0/port", "is no"},
	{"dnat", "[" DNAT("0", "") "]", "/dnat/0/port", "0 is no port"},
	{"dnat", "[" DNAT("1-10", ",\"to_port\":65527") "]", "/dnat/0/to_port", "above 65535"},
	{"dnat",
		"[{\"eip\":\"f\",\"protocol\":\"udp\",\"port\":\"1\",\"to_address\":\"10.0.0.1\"}]",
		"/dnat/0/eip", "not among"},
	{"dnat", "[{\"eip\":\"e\",\"protocol\":\"any\"}]", "/dnat/0/protocol", "unknown value"},
	{"mapping", "\"symmetric\"", NULL, "unknown value"},
	{"filtering", "\"none\"", NULL, "unknown value"},
	{"port_block", "32257", NULL, "out of range"},
	{"hairpin", "\"yes\"", NULL, "true or false"},
	{"limits", "{\"per_port\":-1}", "/limits/per_port", "out of range"},
	{"quarantine_s", "86401", NULL, "out of range"},
	{"log", "\"all\"", NULL, "unknown value"},
	{"timeouts", "{\"udp_s\":0}", "/timeouts/udp_s", "out of range"},
	{NULL},
};

#define LISTENER(more) "[{\"protocol\":\"tcp\",\"port\":80" more "}]"
#define LISTENER_SHOWN(check)                                                                      \
	"[{\"protocol\":\"tcp\",\"port\":80,\"scheduler\":\"round_robin\",\"persistence_s\":0,"    \
	"\"allow_cidrs\":[],\"idle_timeout_s\":0,\"drain_s\":60,\"fail_open\":false,"              \
	"\"health_check\":{" check ",\"rise\":2,\"fall\":3}"

static const struct good balancer_good[] = {
	GOOD_COMMON,
	{"vpc", "\"other\""},
	{"address", "\"FD00::1\"", "\"fd00::1\""},
	{"node", "\"gw\""},
	{"listeners", LISTENER(""),
		LISTENER_SHOWN("\"interval_ms\":5000,\"type\":\"tcp\",\"timeout_"
			       "ms\":2000") ",\"backends\":[]}]"},
	{"listeners",
		LISTENER(",\"backends\":[{\"port\":\"p\"}],\"health_check\":{"
			 "\"interval_ms\":100}"),
		LISTENER_SHOWN("\"interval_ms\":100,\"type\":\"tcp\",\"timeout_"
			       "ms\":100") ",\"backends\":[{\"port\":\"p\",\"port_"
					   "number\":80,\"weight\":1}]}]"},
	{NULL},
};

static const struct good balancer_eip_good[] = {{"eip", "\"f\""}, {NULL}};

static const struct bad balancer_bad[] = {
	BAD_COMMON,
	{"vpc", "null", NULL, "is required"},
	{"address", "null", NULL, "give address or eip"},
	{"address", "\"10.0.0.0/8\"", NULL, "is no"},
	{"eip", "\"e\"", NULL, "not both"},
	{"node", "\"-\"", NULL, "is no name"},
	{"listeners", LISTENER(",\"scheduler\":\"random\""), "/listeners/0/scheduler",
		"unknown value"},
	{"listeners", "[{\"protocol\":\"icmp\",\"port\":80}]", "/listeners/0/protocol",
		"unknown value"},
	{"listeners", "[{\"protocol\":\"tcp\"}]", "/listeners/0/port", "is required"},
	{"listeners", LISTENER(",\"backends\":[{}]"), "/listeners/0/backends/0/port",
		"give port or address"},
	{"listeners", LISTENER(",\"backends\":[{\"port\":\"p\",\"weight\":101}]"),
		"/listeners/0/backends/0/weight", "out of range"},
	{"listeners", LISTENER(",\"health_check\":{\"type\":\"tcp\",\"path\":\"/\"}"),
		"/listeners/0/health_check/path", "only with type http"},
	{"listeners", LISTENER(",\"health_check\":{\"interval_ms\":49}"),
		"/listeners/0/health_check/interval_ms", "out of range"},
	{"listeners", LISTENER(",\"health_check\":{\"timeout_ms\":5001}"),
		"/listeners/0/health_check/timeout_ms", "longer than interval_ms"},
	{NULL},
};

static const struct good route_external_good[] = {
	{"node", "\"gw\""},
	{"next_hop", "{\"kind\":\"external\",\"name\":\"line\"}"},
	{"next_hop", "{\"kind\":\"nat_gateway\",\"name\":\"n\"}"},
	{NULL},
};

static const struct bad route_external_bad[] = {
	{"node", "\"GW\"", NULL, "is no name"},
	{"next_hop", "{\"kind\":\"nat_gateway\"}", "/next_hop/name", "is required"},
	{NULL},
};

#define GATEWAY_TABLES                                                                             \
	{"eip_pool", "{\"name\":\"x\",\"cidr\":\"198.51.100.0/24\"}", eip_pool_good,               \
		eip_pool_bad},                                                                     \
		{"eip", "{\"name\":\"x\",\"pool\":\"p\"}", eip_good, eip_bad},                     \
		{"eip", "{\"name\":\"x\",\"address\":\"198.51.100.7\",\"port\":\"p\"}",            \
			eip_bound_good, eip_bound_bad},                                            \
		{"nat_gateway", "{\"name\":\"x\",\"vpc\":\"v\",\"eips\":[\"e\"]}", nat_good,       \
			nat_bad},                                                                  \
		{"load_balancer", "{\"name\":\"x\",\"vpc\":\"v\",\"address\":\"10.0.0.9\"}",       \
			balancer_good, balancer_bad},                                              \
		{"load_balancer", "{\"name\":\"x\",\"vpc\":\"v\",\"eip\":\"e\"}",                  \
			balancer_eip_good, NONE_BAD},                                              \
	{                                                                                          \
		"route",                                                                           \
			"{\"name\":\"x\",\"vpc\":\"v\",\"destination\":\"10.0.0.0/"                \
			"8\",\"next_hop\":"                                                        \
			"{\"kind\":\"external\"}}",                                                \
			route_external_good, route_external_bad                                    \
	}
