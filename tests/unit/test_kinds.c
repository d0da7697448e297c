// SPDX-License-Identifier: Apache-2.0
/*
 * Every field of every kind: what is taken, in which canonical form, and what is refused with
 * which JSON pointer and why. A table a kind; a field without a case fails test_every_field.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kinds.h"

/* A member (a JSON pointer of names and indexes) of the smallest valid object is replaced by `value`. */
struct good {
	const char *field, *value;
	const char *canonical; /* NULL: the same */
};

struct bad {
	const char *field, *value;
	const char *path;   /* NULL: /field */
	const char *reason; /* part of it */
};

struct table {
	const char *kind;
	const char *base;
	const struct good *good; /* end with field NULL */
	const struct bad *bad;
};

#define LONG_NAME "a23456789012345678901234567890123456789012345678901234567890123"
#define TEXT_128                                                                                   \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012345"   \
	"6789abcdef0123456789abcdef0123456789abcdef"
#define TEXT_1024 TEXT_128 TEXT_128 TEXT_128 TEXT_128 TEXT_128 TEXT_128 TEXT_128 TEXT_128

#define GOOD_COMMON                                                                                \
	{"name", "\"a\""}, {"name", "\"" LONG_NAME "\""}, {"name", "\"0-a\""},                     \
		{"tenant", "\"acme\""}, {"description", "\"\""},                                   \
		{"description", "\"caf\\u00e9\\n\\tx\""},                                          \
	{                                                                                          \
		"description", "\"" TEXT_1024 "\""                                                 \
	}
#define BAD_COMMON                                                                                 \
	{"name", "null", NULL, "is required"}, {"name", "\"\"", NULL, "is no name"},               \
		{"name", "\"A\"", NULL, "is no name"}, {"name", "\"-a\"", NULL, "is no name"},     \
		{"name", "\"a-\"", NULL, "is no name"}, {"name", "\"a_b\"", NULL, "is no name"},   \
		{"name", "\"" LONG_NAME "x\"", NULL, "is no name"},                                \
		{"name", "7", NULL, "must be a string, not a number"},                             \
		{"tenant", "\"Acme\"", NULL, "is no name"},                                        \
		{"tenant", "[]", NULL, "must be a string, not a list"},                            \
		{"description", "{}", NULL, "must be a string, not an object"},                    \
		{"description", "\"" TEXT_1024 "x\"", NULL, "at most 1024"},                       \
		{"description", "\"\\u001b[0m\"", NULL, "control character 0x1b"},                 \
		{"revision", "3", NULL, "is read-only"}, {"status", "{}", NULL, "is read-only"},   \
		{"a/b~c", "1", "/a~1b~0c", "unknown field"},                                       \
	{                                                                                          \
		"descriptoin", "\"x\"", NULL, "did you mean \"description\"?"                      \
	}

/* ---- tenant ---- */

static const struct good tenant_good[] = {
	GOOD_COMMON,
	{"quotas", "{}",
		"{\"vpcs\":0,\"subnets\":0,\"ports\":0,\"routes\":0,\"peerings\":0,\"security_"
		"groups\":0,\"prefix_lists\":0,\"rules\":0,\"sessions\":0,\"eips\":0,"
		"\"nat_gateways\":0,\"load_balancers\":0}"},
	{"quotas/vpcs", "5"},
	{"quotas/sessions", "2147483647"},
	{NULL},
};

static const struct bad tenant_bad[] = {
	BAD_COMMON,
	{"quotas", "[]", NULL, "must be an object, not a list"},
	{"quotas/vpcs", "-1", NULL, "out of range: 0 to 2147483647"},
	{"quotas/ports", "\"5\"", NULL, "must be a number, not a string"},
	{"quotas/ports", "1.5", NULL, "whole number"},
	{"quotas/prots", "1", NULL, "did you mean \"ports\"?"},
	{NULL},
};

/* ---- node ---- */

static const struct good node_good[] = {
	GOOD_COMMON,
	{"rpc", "\"/run/vpc/dataplane.sock\""},
	{"rpc", "\"tls://192.0.2.2:9471\""},
	{"rpc", "\"tls://[2001:db8::2]:9471\""},
	{"rpc", "\"tls://host-b.example:9471\""},
	{"tls", "{\"cert\":\"/c\",\"key\":\"/k\",\"ca\":\"/a\"}"},
	{"tls", "{\"cert\":\"/c\",\"key\":\"/k\",\"ca\":\"/a\",\"crl\":\"/l\"}"},
	{"vtep", "\"192.0.2.2\""},
	{"vtep", "\"2001:DB8::2\"", "\"2001:db8::2\""},
	{NULL},
};

static const struct bad node_bad[] = {
	BAD_COMMON,
	{"vtep", "null", "/rpc", "needs rpc"},
	{"rpc", "\"run.sock\"", NULL, "is no RPC address"},
	{"rpc", "\"tls://host\"", NULL, "is no RPC address"},
	{"rpc", "\"tls://:9471\"", NULL, "is no RPC address"},
	{"rpc", "\"tls://host:0\"", NULL, "is no RPC address"},
	{"rpc", "\"http://host:1\"", NULL, "is no RPC address"},
	{"rpc", "\"/" TEXT_128 "\"", NULL, "at most 107"},
	{"rpc", "1", NULL, "must be a string"},
	{"tls", "{\"cert\":\"/c\",\"key\":\"/k\"}", "/tls/ca", "required"},
	{"tls", "{\"cert\":\"c\",\"key\":\"/k\",\"ca\":\"/a\"}", "/tls/cert", "absolute"},
	{"vtep", "\"host-b\"", NULL, "is no IPv4 or IPv6 address"},
	{"vtep", "\"192.0.2.2/24\"", NULL, "is no IPv4 or IPv6 address"},
	{"vtep", "\"224.0.0.1\"", NULL, "is no address of one machine"},
	{"vtep", "\"::ffff:192.0.2.2\"", NULL, "write it as IPv4"},
	{NULL},
};

/* ---- vpc ---- */

static const struct good vpc_good[] = {
	GOOD_COMMON,
	{"cidrs", "[\"10.0.0.0/16\",\"FD00:10::/48\"]", "[\"10.0.0.0/16\",\"fd00:10::/48\"]"},
	{"cidrs", "[\"10.0.0.0/9\",\"10.128.0.0/9\"]"},
	{"cidrs",
		"[\"10.0.0.0/16\",\"10.1.0.0/16\",\"10.2.0.0/16\",\"10.3.0.0/16\",\"10.4.0.0/16\","
		"\"10.5.0.0/16\",\"10.6.0.0/16\",\"10.7.0.0/16\"]"},
	{"vni", "1"},
	{"vni", "16777215"},
	{"mtu", "576"},
	{"mtu", "65535"},
	{NULL},
};

static const struct bad vpc_bad[] = {
	BAD_COMMON,
	{"cidrs", "null", NULL, "is required"},
	{"cidrs", "[]", NULL, "at least 1 item"},
	{"cidrs", "\"10.0.0.0/16\"", NULL, "must be a list, not a string"},
	{"cidrs/0", "\"10.0.0.1/8\"", NULL, "host bits set: did you mean 10.0.0.0/8?"},
	{"cidrs/0", "\"10.0.0.0\"", NULL, "did you mean 10.0.0.0/32?"},
	{"cidrs/0", "\"10.0.0.0/33\"", NULL, "is no CIDR"},
	{"cidrs/0", "\"fd00::1/64\"", NULL, "did you mean fd00::/64?"},
	{"cidrs/0", "\"\"", NULL, "is no CIDR"},
	{"cidrs/0", "10", NULL, "must be a string"},
	{"cidrs/0", "null", NULL, "must be a string, not null"},
	{"cidrs/0", "\"0.0.0.0/0\"", NULL, "reaches into"},
	{"cidrs/0", "\"127.0.0.0/16\"", NULL, "loopback"},
	{"cidrs/0", "\"169.254.0.0/24\"", NULL, "link local"},
	{"cidrs/0", "\"224.1.0.0/16\"", NULL, "multicast"},
	{"cidrs/0", "\"250.0.0.0/8\"", NULL, "reserved"},
	{"cidrs/0", "\"fe80::/64\"", NULL, "link local"},
	{"cidrs/0", "\"ff00::/16\"", NULL, "multicast"},
	{"cidrs/0", "\"::/0\"", NULL, "reaches into"},
	{"cidrs/0", "\"::ffff:10.0.0.0/112\"", NULL, "write it as IPv4"},
	{"cidrs", "[\"10.0.0.0/16\",\"10.0.1.0/24\"]", "/cidrs/1", "overlaps 10.0.0.0/16"},
	{"cidrs", "[\"10.0.1.0/24\",\"fd00::/64\",\"10.0.0.0/16\"]", "/cidrs/2",
		"overlaps 10.0.1.0/24"},
	{"cidrs", "[\"10.0.0.0/16\",\"10.0.0.0/16\"]", "/cidrs/1", "overlaps"},
	{"cidrs",
		"[\"10.0.0.0/16\",\"10.1.0.0/16\",\"10.2.0.0/16\",\"10.3.0.0/16\",\"10.4.0.0/16\","
		"\"10.5.0.0/16\",\"10.6.0.0/16\",\"10.7.0.0/16\",\"10.8.0.0/16\"]",
		NULL, "has 9 items: at most 8"},
	{"vni", "0", NULL, "out of range: 1 to 16777215"},
	{"vni", "16777216", NULL, "out of range"},
	{"vni", "\"5\"", NULL, "must be a number"},
	{"mtu", "575", NULL, "out of range"},
	{"mtu", "65536", NULL, "out of range"},
	{NULL},
};

static const struct bad vpc6_bad[] = {
	{"mtu", "1279", NULL, "IPv6 needs an MTU of at least 1280"},
	{NULL},
};

/* ---- subnet ---- */

static const struct good subnet_good[] = {
	GOOD_COMMON,
	{"vpc", "\"other\""},
	{"cidr", "\"10.0.1.0/30\""},
	{"cidr6", "\"FD00:1::/64\"", "\"fd00:1::/64\""},
	{"gateway", "\"10.0.1.254\""},
	{"dhcp", "false"},
	{"dns_servers", "[\"10.0.0.53\",\"FD00::53\"]", "[\"10.0.0.53\",\"fd00::53\"]"},
	{NULL},
};

static const struct bad subnet_bad[] = {
	BAD_COMMON,
	{"vpc", "null", NULL, "is required"},
	{"vpc", "\"No\"", NULL, "is no name"},
	{"cidr", "null", NULL, "a subnet needs cidr, cidr6 or both"},
	{"cidr", "\"10.0.1.1/24\"", NULL, "did you mean 10.0.1.0/24?"},
	{"cidr", "\"10.0.1.0/31\"", NULL, "no room"},
	{"cidr", "\"fd00::/127\"", NULL, "no room"},
	{"cidr", "\"127.0.0.0/24\"", NULL, "loopback"},
	{"cidr6", "\"10.0.2.0/24\"", NULL, "it must be IPv6"},
	{"cidr6", "\"fd00::/127\"", NULL, "no room"},
	{"cidr6", "\"fe80::/64\"", NULL, "link local"},
	{"gateway", "\"10.0.2.1\"", NULL, "is no host's address in 10.0.1.0/24"},
	{"gateway", "\"10.0.1.0\"", NULL, "is no host's address"},
	{"gateway", "\"10.0.1.255\"", NULL, "is no host's address"},
	{"gateway", "\"fd00::1\"", NULL, "is no host's address"},
	{"gateway", "\"x\"", NULL, "is no IPv4 or IPv6 address"},
	{"gateway6", "\"fd00::1\"", NULL, "needs cidr6 beside it"},
	{"gateway6", "\"10.0.1.1\"", NULL, "it must be IPv6"},
	{"dhcp", "1", NULL, "must be true or false, not a number"},
	{"dns_servers", "[\"10.0.0.53\",\"10.0.0.53\"]", "/dns_servers/1", "twice"},
	{"dns_servers/0", "\"dns\"", NULL, "is no IPv4 or IPv6 address"},
	{"dns_servers",
		"[\"10.0.0.1\",\"10.0.0.2\",\"10.0.0.3\",\"10.0.0.4\",\"10.0.0.5\","
		"\"10.0.0.6\",\"10.0.0.7\",\"10.0.0.8\",\"10.0.0.9\"]",
		NULL, "at most 8"},
	{NULL},
};

static const struct good subnet6_good[] = {
	{"gateway6", "\"fd00:1::ffff\""},
	{NULL},
};

static const struct bad subnet6_bad[] = {
	{"gateway6", "\"fd00:2::1\"", NULL, "is no host's address in fd00:1::/64"},
	{"gateway6", "\"fd00:1::\"", NULL, "is no host's address"},
	{"gateway", "\"10.0.0.1\"", NULL, "needs cidr beside it"},
	{"cidr", "\"fd00:2::/64\"", "/cidr6", "one of each family"},
	{NULL},
};

/* ---- port ---- */

static const struct good port_good[] = {
	GOOD_COMMON,
	{"subnet", "\"other\""},
	{"node", "\"host-b\""},
	{"mac", "\"02-00-5E-10-00-01\"", "\"02:00:5e:10:00:01\""},
	{"addresses", "[\"10.0.1.10\",\"FD00::0010\"]", "[\"10.0.1.10\",\"fd00::10\"]"},
	{"security_groups", "[\"web\",\"ssh\"]"},
	{"port_security", "false"},
	{"allowed_addresses", "[\"10.0.1.100\",\"10.0.2.0/24\",\"FD00::/64\"]",
		"[\"10.0.1.100\",\"10.0.2.0/24\",\"fd00::/64\"]"},
	{"allowed_addresses", "[\"10.0.1.100/32\",\"fd00::1/128\"]",
		"[\"10.0.1.100\",\"fd00::1\"]"},
	{"rate", "{\"ingress_mbps\":5}",
		"{\"ingress_mbps\":5,\"egress_mbps\":0,\"ingress_pps\":0,\"egress_pps\":0}"},
	{"rate/egress_mbps", "10000000"},
	{"rate/ingress_pps", "1000000000"},
	{"rate/egress_pps", "1"},
	{"enabled", "false"},
	{"attachment", "{\"type\":\"none\"}"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"tap0\"}",
		"{\"type\":\"tap\",\"ifname\":\"tap0\",\"configure\":false}"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"tap0\",\"netns\":\"a\",\"configure\":true}"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"tap0\",\"netns\":\"/proc/1/ns/"
		       "net\",\"configure\":false}"},
	{"attachment", "{\"type\":\"netdev\",\"ifname\":\"veth0\"}",
		"{\"type\":\"netdev\",\"ifname\":\"veth0\",\"mode\":\"af_packet\"}"},
	{"attachment", "{\"type\":\"netdev\",\"ifname\":\"veth0\",\"mode\":\"af_xdp\"}"},
	{"attachment", "{\"type\":\"vhost_user\",\"socket\":\"/run/vm.sock\"}",
		"{\"type\":\"vhost_user\",\"socket\":\"/run/"
		"vm.sock\",\"role\":\"server\",\"queues\":1}"},
	{"attachment", "{\"type\":\"vhost_user\",\"socket\":\"/run/"
		       "vm.sock\",\"role\":\"client\",\"queues\":16}"},
	{"attachment", "{\"type\":\"memif\",\"socket\":\"/run/m\"}",
		"{\"type\":\"memif\",\"socket\":\"/run/m\",\"id\":0,\"role\":\"server\"}"},
	{"attachment",
		"{\"type\":\"memif\",\"socket\":\"/run/m\",\"id\":4294967295,\"role\":\"client\"}"},
	{"attachment", "{\"type\":\"device\",\"devargs\":\"0000:3b:02.1\"}"},
	{NULL},
};

static const struct bad port_bad[] = {
	BAD_COMMON,
	{"name", "\"underlay\"", NULL, "that nodes have"},
	{"subnet", "null", NULL, "is required"},
	{"subnet", "[\"a\"]", NULL, "must be a string, not a list"},
	{"node", "\"Host\"", NULL, "is no name"},
	{"mac", "\"02:00:5e:10:00\"", NULL, "is no MAC address"},
	{"mac", "\"01:00:5e:10:00:01\"", NULL, "is no MAC address of one machine"},
	{"mac", "\"00:00:00:00:00:00\"", NULL, "is no MAC address of one machine"},
	{"mac", "\"ff:ff:ff:ff:ff:ff\"", NULL, "is no MAC address of one machine"},
	{"addresses", "[]", NULL, "at least 1 item"},
	{"addresses", "[\"10.0.1.10\",\"10.0.1.10\"]", "/addresses/1", "twice"},
	{"addresses", "[\"fd00::1\",\"fd00:0::1\"]", "/addresses/1", "twice"},
	{"addresses/0", "\"10.0.1.0/24\"", NULL, "is no IPv4 or IPv6 address"},
	{"addresses/0", "\"224.0.0.1\"", NULL, "is no address of one machine"},
	{"addresses/0", "\"127.0.0.1\"", NULL, "is no address of one machine"},
	{"security_groups", "\"web\"", NULL, "must be a list"},
	{"security_groups", "[\"web\",\"web\"]", "/security_groups/1", "twice"},
	{"security_groups/0", "7", NULL, "must be a string"},
	{"port_security", "\"no\"", NULL, "must be true or false, not a string"},
	{"allowed_addresses/0", "\"10.0.1.1/24\"", NULL, "host bits set"},
	{"allowed_addresses/0", "\"any\"", NULL, "is no address or CIDR"},
	{"rate", "5", NULL, "must be an object"},
	{"rate/ingress_mbps", "-1", NULL, "out of range"},
	{"rate/egress_mbps", "10000001", NULL, "out of range"},
	{"rate/ingress_pps", "1.5", NULL, "whole number"},
	{"rate/egress_pps", "true", NULL, "must be a number, not a boolean"},
	{"rate/mbps", "1", NULL, "unknown field"},
	{"enabled", "0", NULL, "must be true or false"},
	{"attachment", "\"tap\"", NULL, "must be an object"},
	{"attachment", "{}", "/attachment/type", "is required"},
	{"attachment", "{\"type\":7}", "/attachment/type", "must be a string"},
	{"attachment", "{\"type\":\"tab\"}", "/attachment/type", "did you mean \"tap\"?"},
	{"attachment", "{\"type\":\"veth\"}", "/attachment/type", "tap, netdev, vhost_user"},
	{"attachment", "{\"type\":\"tap\"}", "/attachment/ifname", "is required"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"\"}", "/attachment/ifname",
		"is no interface name"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"a234567890123456\"}", "/attachment/ifname",
		"1 to 15"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"a/b\"}", "/attachment/ifname",
		"is no interface name"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"..\"}", "/attachment/ifname",
		"is no interface name"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"a b\"}", "/attachment/ifname",
		"is no interface name"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"t\",\"netns\":\"a/b\"}", "/attachment/netns",
		"is no network namespace"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"t\",\"netns\":\"\"}", "/attachment/netns",
		"is no network namespace"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"t\",\"configure\":\"yes\"}",
		"/attachment/configure", "must be true or false"},
	{"attachment", "{\"type\":\"tap\",\"ifname\":\"t\",\"socket\":\"/a\"}",
		"/attachment/socket", "unknown field"},
	{"attachment", "{\"type\":\"netdev\"}", "/attachment/ifname", "is required"},
	{"attachment", "{\"type\":\"netdev\",\"ifname\":\"v\",\"mode\":\"afxdp\"}",
		"/attachment/mode", "did you mean \"af_xdp\"?"},
	{"attachment", "{\"type\":\"vhost_user\"}", "/attachment/socket", "is required"},
	{"attachment", "{\"type\":\"vhost_user\",\"socket\":\"vm.sock\"}", "/attachment/socket",
		"is no absolute file name"},
	{"attachment", "{\"type\":\"vhost_user\",\"socket\":\"/" TEXT_128 "\"}",
		"/attachment/socket", "at most 107"},
	{"attachment", "{\"type\":\"vhost_user\",\"socket\":\"/a\",\"queues\":0}",
		"/attachment/queues", "1 to 16"},
	{"attachment", "{\"type\":\"vhost_user\",\"socket\":\"/a\",\"role\":\"master\"}",
		"/attachment/role", "server, client"},
	{"attachment", "{\"type\":\"memif\"}", "/attachment/socket", "is required"},
	{"attachment", "{\"type\":\"memif\",\"socket\":\"/a\",\"id\":-1}", "/attachment/id",
		"out of range"},
	{"attachment", "{\"type\":\"memif\",\"socket\":\"/a\",\"role\":1}", "/attachment/role",
		"must be a string"},
	{"attachment", "{\"type\":\"device\"}", "/attachment/devargs", "is required"},
	{"attachment", "{\"type\":\"device\",\"devargs\":\"\"}", "/attachment/devargs",
		"must not be empty"},
	{"attachment", "{\"type\":\"none\",\"ifname\":\"a\"}", "/attachment/ifname",
		"unknown field"},
	{NULL},
};

/* ---- peering ---- */

static const struct good peering_good[] = {
	GOOD_COMMON,
	{"vpcs", "[\"b\",\"a\"]"},
	{NULL},
};

static const struct bad peering_bad[] = {
	BAD_COMMON,
	{"vpcs", "null", NULL, "is required"},
	{"vpcs", "[\"a\"]", NULL, "at least 2 items"},
	{"vpcs", "[\"a\",\"b\",\"c\"]", NULL, "at most 2"},
	{"vpcs", "[\"a\",\"a\"]", "/vpcs/1", "twice"},
	{"vpcs/1", "\"B\"", NULL, "is no name"},
	{NULL},
};

/* ---- route ---- */

#define BIG_FILTER TEXT_1024
static const struct good mirror_good[] = {
	GOOD_COMMON,
	{"sources", "[{\"port\":\"web1\"},{\"subnet\":\"s\"},{\"vpc\":\"v\"}]"},
	{"sources", "[]"},
	{"direction", "\"egress\""},
	{"direction", "\"ingress\""},
	{"filter", "\"tcp port 80\""},
	{"filter", "\"" BIG_FILTER "\""},
	{"sample", "1000000"},
	{"snaplen", "0"},
	{"snaplen", "65535"},
	{"vni", "16777215"},
	{"target", "{\"type\":\"vxlan\",\"address\":\"192.0.2.1\",\"vni\":16777215}"},
	{"target", "{\"type\":\"erspan\",\"address\":\"FD00::1\",\"session_id\":1023}",
		"{\"type\":\"erspan\",\"address\":\"fd00::1\",\"session_id\":1023,"
		"\"version\":2}"},
	{"target", "{\"type\":\"file\",\"path\":\"/a\"}",
		"{\"type\":\"file\",\"path\":\"/a\",\"rotate_mb\":100,\"keep\":10}"},
	{NULL},
};
static const struct bad mirror_bad[] = {
	BAD_COMMON,
	{"sources", "null", NULL, "is required"},
	{"sources", "[{}]", "/sources/0/port", "is required"},
	{"sources", "[{\"port\":\"a\",\"vpc\":\"b\"}]", "/sources/0", "not several"},
	{"sources", "[{\"port\":\"a\"},{\"port\":\"a\"}]", "/sources/1", "twice"},
	{"direction", "\"up\"", NULL, "unknown value"},
	{"filter", "\"" BIG_FILTER "x\"", NULL, "at most 1024"},
	{"sample", "0", NULL, "1 to 1000000"},
	{"sample", "1000001", NULL, "1 to 1000000"},
	{"snaplen", "65536", NULL, "0 to 65535"},
	{"vni", "0", NULL, "out of range: 1 to 16777215"},
	{"target", "null", NULL, "is required"},
	{"target", "{\"type\":\"smoke\"}", "/target/type", "unknown value"},
	{"target", "{\"type\":\"port\"}", "/target/port", "is required"},
	{"target", "{\"type\":\"vxlan\",\"address\":\"192.0.2.1\"}", "/target/vni", "is required"},
	{"target", "{\"type\":\"erspan\",\"address\":\"192.0.2.1\",\"session_id\":1024}",
		"/target/session_id", "0 to 1023"},
	{"target",
		"{\"type\":\"erspan\",\"address\":\"192.0.2.1\",\"session_id\":1,"
		"\"version\":1}",
		"/target/version", "2 to 3"},
	{"target", "{\"type\":\"file\",\"path\":\"a\"}", "/target/path", "absolute"},
	{NULL},
};

#include "kinds_hook.h"

/* ---- flow_log ---- */

static const struct good flow_log_good[] = {
	GOOD_COMMON,
	{"scope", "{\"subnet\":\"s\"}"},
	{"scope", "{\"port\":\"p\"}"},
	{"collector", "\"tcp://collector.example.net:4739\""},
	{"collector", "\"udp://[fd00::1]:65535\""},
	{"collector", "\"file:/var/log/flows.json\""},
	{"format", "\"json\""},
	{"interval_s", "1"},
	{"interval_s", "3600"},
	{"sample", "1000000"},
	{"verdicts", "\"accepted\""},
	{"verdicts", "\"denied\""},
	{"biflow", "true"},
	{"nat_events", "false"},
	{NULL},
};

static const struct bad flow_log_bad[] = {
	BAD_COMMON,
	{"scope", "null", NULL, "is required"},
	{"scope", "{}", NULL, "give vpc, subnet or port"},
	{"scope", "{\"vpc\":\"a\",\"port\":\"b\"}", NULL, "give one of"},
	{"collector", "null", NULL, "is required"},
	{"collector", "\"udp://host\"", NULL, "HOST:PORT"},
	{"collector", "\"udp://:4739\"", NULL, "HOST:PORT"},
	{"collector", "\"udp://host:0\"", NULL, "HOST:PORT"},
	{"collector", "\"tcp://host:65536\"", NULL, "HOST:PORT"},
	{"collector", "\"tcp://host:80x\"", NULL, "HOST:PORT"},
	{"collector", "\"tcp://[10.0.0.1]:80\"", NULL, "HOST:PORT"},
	{"collector", "\"tcp://fd00::1:80\"", NULL, "HOST:PORT"},
	{"collector", "\"tcp://a b:80\"", NULL, "HOST:PORT"},
	{"collector", "\"http://host:80\"", NULL, "file:PATH"},
	{"collector", "\"file:flows\"", NULL, "absolute"},
	{"collector", "\"file:/var/../etc/passwd\"", NULL, "absolute"},
	{"collector", "\"file:/var/log/\"", NULL, "absolute"},
	{"format", "\"netflow\"", NULL, "unknown value"},
	{"interval_s", "0", NULL, "1 to 3600"},
	{"sample", "0", NULL, "1 to 1000000"},
	{"verdicts", "\"none\"", NULL, "unknown value"},
	{"biflow", "1", NULL, "must be"},
	{"nat_events", "1", NULL, "must be"},
	{NULL},
};

static const struct good route_good[] = {
	GOOD_COMMON,
	{"vpc", "\"other\""},
	{"destination", "\"0.0.0.0/0\""},
	{"destination", "\"::/0\""},
	{"destination", "\"FD00::/8\"", "\"fd00::/8\""},
	{"next_hop", "{\"kind\":\"port\",\"name\":\"fw\"}"},
	{"next_hop", "{\"kind\":\"peering\",\"name\":\"p\"}"},
	{"next_hop", "{\"kind\":\"blackhole\"}"},
	{"next_hop",
		"{\"kind\":\"vtep\",\"address\":\"2001:DB8::1\",\"mac\":\"02:00:5E:10:00:01\"}",
		"{\"kind\":\"vtep\",\"address\":\"2001:db8::1\",\"mac\":\"02:00:5e:10:00:01\"}"},
	{NULL},
};

static const struct bad route_bad[] = {
	BAD_COMMON,
	{"vpc", "null", NULL, "is required"},
	{"destination", "null", NULL, "is required"},
	{"destination", "\"default\"", NULL, "is no CIDR"},
	{"destination", "\"10.0.0.1/8\"", NULL, "host bits"},
	{"next_hop", "null", NULL, "is required"},
	{"next_hop", "{\"name\":\"fw\"}", "/next_hop/kind", "is required"},
	{"next_hop", "{\"kind\":\"vpn\"}", "/next_hop/kind", "unknown value"},
	{"next_hop", "{\"kind\":\"port\"}", "/next_hop/name", "is required"},
	{"next_hop", "{\"kind\":\"port\",\"name\":\"F\"}", "/next_hop/name", "is no name"},
	{"next_hop", "{\"kind\":\"peering\"}", "/next_hop/name", "is required"},
	{"next_hop", "{\"kind\":\"vtep\",\"address\":\"192.0.2.1\"}", "/next_hop/mac",
		"is required"},
	{"next_hop", "{\"kind\":\"vtep\",\"mac\":\"02:00:5e:10:00:01\"}", "/next_hop/address",
		"is required"},
	{"next_hop", "{\"kind\":\"blackhole\",\"name\":\"x\"}", "/next_hop/name", "unknown field"},
	{NULL},
};

/* ---- prefix_list ---- */

static const struct good prefix_list_good[] = {
	GOOD_COMMON,
	{"cidrs", "[]"},
	{"cidrs", "[\"0.0.0.0/0\",\"FD00::/8\"]", "[\"0.0.0.0/0\",\"fd00::/8\"]"},
	{NULL},
};

static const struct bad prefix_list_bad[] = {
	BAD_COMMON,
	{"cidrs", "{}", NULL, "must be a list, not an object"},
	{"cidrs/0", "\"198.51.100.1/24\"", NULL, "host bits"},
	{"cidrs/0", "\"198.51.100.1\"", NULL, "did you mean 198.51.100.1/32?"},
	{NULL},
};

/* ---- security_group ---- */

#define RULE(members) "[{\"direction\":\"ingress\"" members "}]"
#define RULE_OUT(action, priority, protocol, rest)                                                 \
	"[{\"direction\":\"ingress\",\"action\":\"" action "\",\"priority\":" priority             \
	",\"protocol\":" protocol rest "}]"

static const struct good group_good[] = {
	GOOD_COMMON,
	{"rules", "[]"},
	{"rules", RULE(""), RULE_OUT("allow", "1000", "\"any\"", "")},
	{"rules/0/direction", "\"egress\""},
	{"rules/0/action", "\"deny\""},
	{"rules/0/priority", "1"},
	{"rules/0/priority", "1000"},
	{"rules/0/protocol", "\"tcp\""},
	{"rules/0/protocol", "6", "\"tcp\""},
	{"rules/0/protocol", "\"17\"", "\"udp\""},
	{"rules/0/protocol", "47"},
	{"rules/0/protocol", "\"47\"", "47"},
	{"rules/0/protocol", "0"},
	{"rules/0/protocol", "255"},
	{"rules", RULE(",\"protocol\":\"tcp\",\"ports\":\"443\""),
		RULE_OUT("allow", "1000", "\"tcp\"", ",\"ports\":\"443\"")},
	{"rules", RULE(",\"protocol\":\"udp\",\"ports\":53"),
		RULE_OUT("allow", "1000", "\"udp\"", ",\"ports\":\"53\"")},
	{"rules", RULE(",\"protocol\":17,\"ports\":\"8000-8000\""),
		RULE_OUT("allow", "1000", "\"udp\"", ",\"ports\":\"8000\"")},
	{"rules", RULE(",\"protocol\":\"tcp\",\"ports\":\"0-65535\""),
		RULE_OUT("allow", "1000", "\"tcp\"", ",\"ports\":\"0-65535\"")},
	{"rules", RULE(",\"protocol\":\"icmp\",\"icmp_type\":8,\"icmp_code\":0"),
		RULE_OUT("allow", "1000", "\"icmp\"", ",\"icmp_type\":8,\"icmp_code\":0")},
	{"rules", RULE(",\"protocol\":58,\"icmp_type\":255"),
		RULE_OUT("allow", "1000", "\"icmpv6\"", ",\"icmp_type\":255")},
	{"rules/0/remote_cidr", "\"FD00::/8\"", "\"fd00::/8\""},
	{"rules/0/remote_group", "\"web\""},
	{"rules/0/remote_prefix_list", "\"offices\""},
	{NULL},
};

static const struct bad group_bad[] = {
	BAD_COMMON,
	{"rules", "{}", NULL, "must be a list"},
	{"rules/0", "\"allow all\"", NULL, "must be an object"},
	{"rules", "[{}]", "/rules/0/direction", "is required"},
	{"rules", "[{\"direction\":\"ingress\"},{\"direction\":\"in\"}]", "/rules/1/direction",
		"ingress, egress"},
	{"rules/0/direction", "\"egres\"", NULL, "did you mean \"egress\"?"},
	{"rules/0/action", "\"drop\"", NULL, "allow, deny"},
	{"rules/0/priority", "0", NULL, "out of range"},
	{"rules/0/priority", "1001", NULL, "out of range"},
	{"rules/0/priority", "\"1\"", NULL, "must be a number"},
	{"rules/0/protocol", "\"sctp\"", NULL, "unknown protocol"},
	{"rules/0/protocol", "256", NULL, "unknown protocol"},
	{"rules/0/protocol", "-1", NULL, "unknown protocol"},
	{"rules/0/protocol", "\"256\"", NULL, "unknown protocol"},
	{"rules/0/protocol", "\"\"", NULL, "unknown protocol"},
	{"rules/0/protocol", "[]", NULL, "must be a string or number"},
	{"rules/0/ports", "\"443\"", NULL, "only with protocol tcp or udp"},
	{"rules", RULE(",\"protocol\":\"icmp\",\"ports\":\"443\""), "/rules/0/ports",
		"only with protocol tcp or udp"},
	{"rules", RULE(",\"protocol\":132,\"ports\":\"443\""), "/rules/0/ports",
		"only with protocol tcp or udp"},
	{"rules/0/ports", "\"443-\"", NULL, "is no port or range"},
	{"rules/0/ports", "\"9-8\"", NULL, "is no port or range"},
	{"rules/0/ports", "\"65536\"", NULL, "is no port or range"},
	{"rules/0/ports", "65536", NULL, "0 to 65535"},
	{"rules/0/ports", "-1", NULL, "0 to 65535"},
	{"rules/0/ports", "[443]", NULL, "must be a string such as"},
	{"rules/0/icmp_type", "8", NULL, "only with protocol icmp or icmpv6"},
	{"rules", RULE(",\"protocol\":\"tcp\",\"icmp_type\":8"), "/rules/0/icmp_type",
		"only with protocol icmp"},
	{"rules", RULE(",\"protocol\":\"icmp\",\"icmp_code\":0"), "/rules/0/icmp_code",
		"only with icmp_type"},
	{"rules/0/icmp_type", "256", NULL, "out of range"},
	{"rules/0/icmp_code", "-1", NULL, "out of range"},
	{"rules/0/remote_cidr", "\"10.0.0.1\"", NULL, "did you mean 10.0.0.1/32?"},
	{"rules/0/remote_group", "\"Web\"", NULL, "is no name"},
	{"rules/0/remote_prefix_list", "1", NULL, "must be a string"},
	{"rules", RULE(",\"remote_cidr\":\"10.0.0.0/8\",\"remote_group\":\"a\""),
		"/rules/0/remote_group", "remote_cidr is given already"},
	{"rules", RULE(",\"remote_group\":\"a\",\"remote_prefix_list\":\"b\""),
		"/rules/0/remote_prefix_list", "at most one"},
	{"rules", RULE(",\"protocol\":\"icmp\",\"remote_cidr\":\"fd00::/8\""),
		"/rules/0/remote_cidr", "is IPv6"},
	{"rules", RULE(",\"protocol\":\"icmpv6\",\"remote_cidr\":\"10.0.0.0/8\""),
		"/rules/0/remote_cidr", "is IPv4"},
	{"rules/0/remote_cidrs", "[]", NULL, "did you mean \"remote_cidr\"?"},
	{NULL},
};

#include "kinds_gateway.h"
#include "kinds_inspect.h"

#define NONE_BAD ((const struct bad[]){{NULL}})
#define NONE_GOOD ((const struct good[]){{NULL}})

static const struct table tables[] = {
	{"tenant", "{\"name\":\"x\",\"quotas\":{}}", tenant_good, tenant_bad},
	{"node", "{\"name\":\"x\",\"vtep\":\"192.0.2.1\"}", node_good, node_bad},
	{"vpc", "{\"name\":\"x\",\"cidrs\":[\"10.0.0.0/16\"]}", vpc_good, vpc_bad},
	{"vpc", "{\"name\":\"x\",\"cidrs\":[\"fd00::/48\"]}", NONE_GOOD, vpc6_bad},
	{"subnet", "{\"name\":\"x\",\"vpc\":\"v\",\"cidr\":\"10.0.1.0/24\",\"dns_servers\":[]}",
		subnet_good, subnet_bad},
	{"subnet", "{\"name\":\"x\",\"vpc\":\"v\",\"cidr6\":\"fd00:1::/64\"}", subnet6_good,
		subnet6_bad},
	{"port",
		"{\"name\":\"x\",\"subnet\":\"s\",\"rate\":{},\"addresses\":[\"10.0.1.7\"],"
		"\"security_groups\":[],\"allowed_addresses\":[]}",
		port_good, port_bad},
	{"peering", "{\"name\":\"x\",\"vpcs\":[\"a\",\"b\"]}", peering_good, peering_bad},
	{"route",
		"{\"name\":\"x\",\"vpc\":\"v\",\"destination\":\"10.0.0.0/8\",\"next_hop\":{"
		"\"kind\":\"blackhole\"}}",
		route_good, route_bad},
	{"mirror",
		"{\"name\":\"x\",\"sources\":[{\"port\":\"web1\"}],\"target\":{\"type\":"
		"\"port\",\"port\":\"analyser\"}}",
		mirror_good, mirror_bad},
	{"hook",
		"{\"name\":\"x\",\"scope\":[{\"port\":\"web1\"}],\"role\":\"filter\",\"program\":"
		"\"" PROGRAM "\"}",
		hook_good, hook_bad},
	{"hook",
		"{\"name\":\"x\",\"scope\":[{\"port\":\"web1\"}],\"role\":\"sample\",\"mirror\":"
		"\"tap\",\"program\":\"" PROGRAM "\"}",
		hook_sample_good, hook_sample_bad},
	{"flow_log",
		"{\"name\":\"x\",\"scope\":{\"vpc\":\"v\"},\"collector\":\"udp://"
		"192.0.2.10:4739\"}",
		flow_log_good, flow_log_bad},
	GATEWAY_TABLES,
	{"indicator_list", "{\"name\":\"x\",\"entries\":[]}", indicator_list_good,
		indicator_list_bad},
	{"inspection",
		"{\"name\":\"x\",\"scope\":{\"vpc\":\"v\"},\"detectors\":[{\"type\":\"port_scan\"}]"
		"}",
		inspection_good, inspection_bad},
	{"inspection",
		"{\"name\":\"x\",\"scope\":{\"vpc\":\"v\"},\"detectors\":[{\"type\":\"port_scan\"}]"
		","
		"\"action\":\"quarantine\"}",
		inspection_quarantine_good, NONE_BAD},
	{"inspection",
		"{\"name\":\"x\",\"scope\":{\"vpc\":\"v\"},\"detectors\":[{\"type\":\"port_scan\"}]"
		","
		"\"action\":\"mirror\",\"mirror\":\"m\"}",
		inspection_mirror_good, NONE_BAD},
	{"alert",
		"{\"name\":\"x\",\"time\":\"2026-01-31T12:00:00.000Z\",\"inspection\":\"i\","
		"\"detector\":"
		"\"port_scan\",\"vpc\":\"v\",\"source\":\"10.0.0.1\"}",
		alert_good, alert_bad},
	{"prefix_list", "{\"name\":\"x\",\"cidrs\":[]}", prefix_list_good, prefix_list_bad},
	{"security_group", "{\"name\":\"x\",\"rules\":[{\"direction\":\"ingress\"}]}", group_good,
		group_bad},
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* ---- The machinery ---- */

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static json_t *child(json_t *parent, const char *name)
{
	return json_is_array(parent) ? json_array_get(parent, (size_t)atoi(name))
				     : json_object_get(parent, name);
}

/* Walks all names of the path but the last, which is left in `last`. A path without digits or known
 * parents is one name, whatever is in it. */
static json_t *walk(json_t *object, const char *path, char *last, size_t size)
{
	const char *slash;

	while ((slash = strchr(path, '/'))) {
		char name[64];
		json_t *next;

		snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
		next = child(object, name);
		if (!next)
			break;
		object = next;
		path = slash + 1;
	}
	snprintf(last, size, "%s", path);
	return object;
}

static json_t *base_with(const struct table *table, const char *field, const char *value)
{
	json_t *object = parse(table->base), *parent;
	char last[64];

	parent = walk(object, field, last, sizeof(last));
	if (!json_is_array(parent))
		json_object_set_new(parent, last, parse(value));
	else if (json_array_size(parent) == 0)
		json_array_append_new(parent, parse(value));
	else
		json_array_set_new(parent, (size_t)atoi(last), parse(value));
	return object;
}

static void check_good(const struct table *table, const struct good *good)
{
	json_t *in = base_with(table, good->field, good->value), *out, *again, *parent;
	json_t *expected = parse(good->canonical ? good->canonical : good->value);
	const struct kind *kind = kind_find(table->kind);
	struct resource_error error;
	char last[64], message[1024];

	if (!resource_validate(kind, RESOURCE_CREATE, in, &out, &error)) {
		resource_error_message(&error, message, sizeof(message));
		fail_msg("%s %s = %s: %s", table->kind, good->field, good->value, message);
	}
	parent = walk(out, good->field, last, sizeof(last));
	if (!json_equal(child(parent, last), expected)) {
		char *text = json_dumps(child(parent, last), JSON_ENCODE_ANY);

		fail_msg("%s %s = %s became %s", table->kind, good->field, good->value, text);
	}
	/* What is canonical stays so. */
	assert_true(resource_validate(kind, RESOURCE_APPLY, out, &again, &error));
	assert_true(json_equal(out, again));
	json_decref(in);
	json_decref(out);
	json_decref(again);
	json_decref(expected);
}

static void check_bad(const struct table *table, const struct bad *bad)
{
	json_t *in = base_with(table, bad->field, bad->value), *out = NULL;
	const struct kind *kind = kind_find(table->kind);
	struct resource_error error;
	char path[128];

	snprintf(path, sizeof(path), "/%s", bad->field);
	if (resource_validate(kind, RESOURCE_CREATE, in, &out, &error))
		fail_msg("%s %s = %s must be refused", table->kind, bad->field, bad->value);
	assert_null(out);
	assert_int_equal(error.code, ERROR_INVALID);
	if (strcmp(error.path, bad->path ? bad->path : path) || !strstr(error.reason, bad->reason))
		fail_msg("%s %s = %s: got %s: %s", table->kind, bad->field, bad->value, error.path,
			error.reason);
	json_decref(in);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < TABLES; i++)
		for (const struct good *good = tables[i].good; good->field; good++)
			check_good(&tables[i], good);
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < TABLES; i++)
		for (const struct bad *bad = tables[i].bad; bad->field; bad++)
			check_bad(&tables[i], bad);
}

static bool has_cases(const struct kind *kind, const char *field)
{
	bool good_seen = false, bad_seen = false;
	size_t length = strlen(field);

	for (size_t i = 0; i < TABLES; i++) {
		if (strcmp(tables[i].kind, kind->name))
			continue;
		for (const struct good *good = tables[i].good; good->field; good++)
			good_seen |= !strncmp(good->field, field, length);
		for (const struct bad *bad = tables[i].bad; bad->field; bad++)
			bad_seen |= !strncmp(bad->field, field, length);
	}
	return bad_seen && (good_seen || field_find(kind->fields, field)->flags & FIELD_READ_ONLY);
}

/* A new field without a good and a bad case is found here. */
static void test_every_field(void **state)
{
	const struct field *field;
	const struct kind *kind;

	(void)state;
	KIND_FOREACH(kind)
	FIELD_FOREACH(field, kind->fields)
	if (!has_cases(kind, field->name))
		fail_msg("no case for %s.%s", kind->name, field->name);
}

static void test_not_an_object(void **state)
{
	static const char *const values[] = {"[]", "\"x\"", "7", "null", "true"};
	struct resource_error error;
	const struct kind *kind;
	json_t *out;

	(void)state;
	KIND_FOREACH(kind)
	for (size_t i = 0; i < 5; i++) {
		json_t *in = parse(values[i]);

		assert_false(resource_validate(kind, RESOURCE_CREATE, in, &out, &error));
		assert_string_equal(error.path, "");
		assert_non_null(strstr(error.reason, "must be an object"));
		json_decref(in);
	}
}

/* ---- Defaults, and what follows from other fields ---- */

static void check_defaults(const char *kind, const char *given, const char *expected)
{
	json_t *in = parse(given), *want = parse(expected), *out;
	struct resource_error error;

	if (!resource_validate(kind_find(kind), RESOURCE_CREATE, in, &out, &error))
		fail_msg("%s: %s: %s", given, error.path, error.reason);
	if (!json_equal(out, want))
		fail_msg("%s became %s", given, json_dumps(out, 0));
	json_decref(in);
	json_decref(want);
	json_decref(out);
}

static void test_defaults(void **state)
{
	(void)state;
	check_defaults("vpc", "{\"name\":\"v\",\"cidrs\":[\"10.0.0.0/16\"],\"vni\":null}",
		"{\"name\":\"v\",\"description\":\"\",\"cidrs\":[\"10.0.0.0/16\"]}");
	check_defaults("subnet", "{\"name\":\"s\",\"vpc\":\"v\",\"cidr\":\"10.0.1.0/24\"}",
		"{\"name\":\"s\",\"description\":\"\",\"vpc\":\"v\",\"cidr\":\"10.0.1.0/"
		"24\",\"gateway\":\"10.0.1.1\",\"dhcp\":true,\"dns_servers\":[]}");
	check_defaults("subnet", "{\"name\":\"s\",\"vpc\":\"v\",\"cidr\":\"fd00::/64\"}",
		"{\"name\":\"s\",\"description\":\"\",\"vpc\":\"v\",\"cidr\":\"fd00::/"
		"64\",\"gateway\":\"fd00::1\",\"dhcp\":true,\"dns_servers\":[]}");
	check_defaults("subnet",
		"{\"name\":\"s\",\"vpc\":\"v\",\"cidr\":\"10.0.1.0/24\",\"cidr6\":\"fd00::/64\"}",
		"{\"name\":\"s\",\"description\":\"\",\"vpc\":\"v\",\"cidr\":\"10.0.1.0/"
		"24\",\"cidr6\":\"fd00::/64\",\"gateway\":\"10.0.1.1\",\"gateway6\":\"fd00::1\","
		"\"dhcp\":true,\"dns_servers\":[]}");
	check_defaults("port", "{\"name\":\"p\",\"subnet\":\"s\"}",
		"{\"name\":\"p\",\"description\":\"\",\"subnet\":\"s\",\"security_groups\":[],"
		"\"port_security\":true,\"allowed_addresses\":[],\"rate\":{\"ingress_mbps\":0,"
		"\"egress_mbps\":0,\"ingress_pps\":0,\"egress_pps\":0},\"enabled\":true,"
		"\"attachment\":{\"type\":\"none\"}}");
	check_defaults("security_group", "{\"name\":\"g\"}",
		"{\"name\":\"g\",\"description\":\"\",\"rules\":[]}");
	check_defaults("prefix_list", "{\"name\":\"l\"}",
		"{\"name\":\"l\",\"description\":\"\",\"cidrs\":[]}");
}

static void test_subnet_range(void **state)
{
	static const struct {
		const char *subnet;
		enum net_family family;
		const char *range, *gateway; /* NULL: none */
	} cases[] = {
		{"{\"cidr\":\"10.0.1.0/24\",\"gateway\":\"10.0.1.1\"}", NET_IPV4, "10.0.1.0/24",
			"10.0.1.1"},
		{"{\"cidr\":\"10.0.1.0/24\",\"gateway\":\"10.0.1.1\"}", NET_IPV6, NULL, NULL},
		{"{\"cidr\":\"fd00::/64\",\"gateway\":\"fd00::1\"}", NET_IPV6, "fd00::/64",
			"fd00::1"},
		{"{\"cidr\":\"fd00::/64\",\"gateway\":\"fd00::1\"}", NET_IPV4, NULL, NULL},
		{"{\"cidr\":\"10.0.1.0/24\",\"gateway\":\"10.0.1.1\",\"cidr6\":\"fd00::/"
		 "64\",\"gateway6\":\"fd00::9\"}",
			NET_IPV6, "fd00::/64", "fd00::9"},
		{"{\"cidr6\":\"fd00::/64\",\"gateway6\":\"fd00::9\"}", NET_IPV6, "fd00::/64",
			"fd00::9"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *subnet = parse(cases[i].subnet);
		char text[NET_PREFIX_TEXT];
		struct net_prefix range;
		struct net_addr gateway;
		bool found = subnet_range(subnet, cases[i].family, &range, &gateway);

		assert_int_equal(found, cases[i].range != NULL);
		if (found) {
			assert_string_equal(net_prefix_format(&range, text), cases[i].range);
			assert_string_equal(net_addr_format(&gateway, text), cases[i].gateway);
		}
		json_decref(subnet);
	}
}

/* Every example in the tables is valid, and names only kinds that come before it, or its own. */
static bool ref_is_earlier(const struct resource_ref *ref, void *arg)
{
	const struct kind *kind = arg;

	assert_true(kind_index(ref->kind) <= kind_index(kind));
	return true;
}

static void test_examples_and_order(void **state)
{
	struct resource_error error;
	const struct kind *kind;

	(void)state;
	KIND_FOREACH(kind)
	{
		json_t *example = parse(kind->example), *out;

		if (!resource_validate(kind, RESOURCE_CREATE, example, &out, &error))
			fail_msg("example of %s: %s: %s", kind->name, error.path, error.reason);
		resource_refs(kind, out, ref_is_earlier, (void *)kind);
		assert_ptr_equal(kind_find(kind->name), kind);
		json_decref(example);
		json_decref(out);
	}
	assert_null(kind_find("nothing"));
}

static void check_field_texts(const char *where, const struct field *field)
{
	json_t *def = field_default(field);

	if (!field->name || !field->help)
		fail_msg("%s: a field without name or help", where);
	if (field->def && !def)
		fail_msg("%s: default of %s is no JSON", where, field->name);
	json_decref(def);
	if (field->example)
		json_decref(parse(field->example));
	if ((field->type == FIELD_REF && !field->ref) ||
		(field->type == FIELD_ENUM && !field->values) ||
		(field->type == FIELD_UNION && (!field->tag || !field->variants)))
		fail_msg("%s: %s is not complete", where, field->name);
}

/* The tables themselves: help everywhere, defaults and examples that are JSON and valid. */
static void check_table(const char *where, const struct field *fields)
{
	const struct field *field;

	FIELD_FOREACH(field, fields)
	{
		check_field_texts(where, field);
		if (field->type == FIELD_OBJECT)
			check_table(field->name, field->fields);
		for (const struct field_variant *v = field->variants; v && v->value; v++)
			check_table(v->value, v->fields);
	}
}

static void test_tables(void **state)
{
	const struct kind *kind;

	(void)state;
	KIND_FOREACH(kind)
	check_table(kind->name, kind->fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_not_an_object),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_subnet_range),
		cmocka_unit_test(test_examples_and_order),
		cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
