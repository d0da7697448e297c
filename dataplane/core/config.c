/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ip_text.h"
#include "lib/config.h"
#include "lib/daemon.h"
#include "lib/jsonrpc.h"
#include "lib/resource.h"
#include "lib/tls.h"
#include "qos/limit.h"

#define TLS_CLIENTS_MAX 16
#define EXTERNAL_GATEWAYS_MAX 8 /* of a network and family */

struct node_config node_config;

/* clang-format off */
static const struct field memory_fields[] = {
	{"hugepages", FIELD_ENUM, .help = "use hugepages when they are reserved", .def = "\"auto\"",
	 .values = (const struct field_value[]){
		{"auto", "when reserved, else run without and say so"},
		{"never", "ordinary memory"},
		{NULL, NULL}}},
	{"size_mb", FIELD_INTEGER, .help = "memory for packets and tables", .def = "512", .min = 64, .max = 1048576, .unit = "MiB"},
	{.type = FIELD_END},
};

static const struct field neighbour_fields[] = {
	{"address", FIELD_ADDRESS, .flags = FIELD_REQUIRED, .help = "next hop"},
	{"mac", FIELD_MAC, .flags = FIELD_REQUIRED, .help = "its MAC"},
	{.type = FIELD_END},
};

static const struct field underlay_fields[] = {
	{"ifname", FIELD_IFNAME, .help = "a kernel interface, driven by our own driver"},
	{"mode", FIELD_ENUM, .help = "how to drive it", .def = "\"af_packet\"",
	 .values = (const struct field_value[]){{"af_packet", "packet socket"}, {"af_xdp", "XDP socket"}, {NULL, NULL}}},
	{"device", FIELD_STRING, .help = "a DPDK device: PCI address or vdev string"},
	{"address", FIELD_STRING, .flags = FIELD_REQUIRED, .help = "this node's VTEP address with prefix length"},
	{"address6", FIELD_STRING, .help = "and one of the other family"},
	{"gateway", FIELD_ADDRESS, .help = "next hop to other networks"},
	{"gateway6", FIELD_ADDRESS, .help = "the same for the other family"},
	{"mtu", FIELD_INTEGER, .help = "largest IP packet on the underlay (default: the interface's)", .min = 576, .max = 65535},
	{"neighbours", FIELD_OBJECT, .flags = FIELD_LIST, .help = "static next hops", .fields = neighbour_fields, .max_items = 64},
	{.type = FIELD_END},
};

static const struct field external_fields[] = {
	{"name", FIELD_NAME, .flags = FIELD_REQUIRED, .help = "of the outside network"},
	{"ifname", FIELD_IFNAME, .help = "a kernel interface, driven by our own driver"},
	{"mode", FIELD_ENUM, .help = "how to drive it", .def = "\"af_packet\"",
	 .values = (const struct field_value[]){{"af_packet", "packet socket"}, {"af_xdp", "XDP socket"}, {NULL, NULL}}},
	{"device", FIELD_STRING, .help = "a DPDK device: PCI address or vdev string"},
	{"vlan", FIELD_INTEGER, .help = "tag, 0: untagged", .def = "0", .max = 4094},
	{"address", FIELD_STRING, .flags = FIELD_REQUIRED, .help = "own address with prefix length"},
	{"gateway", FIELD_ADDRESS, .flags = FIELD_LIST, .help = "next hops, the first that answers is used", .max_items = EXTERNAL_GATEWAYS_MAX},
	{"mac", FIELD_MAC, .help = "of our addresses (default: made from the interface's where the kernel sees its frames too; else the interface's)"},
	{"mtu", FIELD_INTEGER, .help = "default: the interface's", .min = 576, .max = 65535},
	{"neighbours", FIELD_OBJECT, .flags = FIELD_LIST, .help = "static next hops", .fields = neighbour_fields, .max_items = 64},
	{.type = FIELD_END},
};

static const struct field capacity_fields[] = {
	{"sessions", FIELD_INTEGER, .def = "1048576", .min = 16, .max = 268435456, .help = "flows"},
	{"endpoints", FIELD_INTEGER, .def = "262144", .min = 16, .max = 16777216, .help = "addresses known, here and elsewhere"},
	{"ports", FIELD_INTEGER, .def = "4096", .min = 1, .max = 65536, .help = "vNICs"},
	{"vpcs", FIELD_INTEGER, .def = "16384", .min = 1, .max = 1048576, .help = "VPCs"},
	{.type = FIELD_END},
};

static const struct field timeout_fields[] = {
	{"tcp_syn_s", FIELD_INTEGER, .def = "30", .min = 1, .max = 86400, .help = "a SYN that nobody answered", .unit = "seconds"},
	{"tcp_established_s", FIELD_INTEGER, .def = "7440", .min = 1, .max = 604800, .help = "an open connection", .unit = "seconds"},
	{"tcp_transitory_s", FIELD_INTEGER, .def = "240", .min = 1, .max = 86400, .help = "one that is opening or closing", .unit = "seconds"},
	{"tcp_time_wait_s", FIELD_INTEGER, .def = "120", .min = 1, .max = 86400, .help = "after both FINs", .unit = "seconds"},
	{"udp_s", FIELD_INTEGER, .def = "300", .min = 1, .max = 86400, .help = "UDP with answers", .unit = "seconds"},
	{"udp_unanswered_s", FIELD_INTEGER, .def = "60", .min = 1, .max = 86400, .help = "UDP without", .unit = "seconds"},
	{"icmp_s", FIELD_INTEGER, .def = "60", .min = 1, .max = 86400, .help = "ICMP queries", .unit = "seconds"},
	{"other_s", FIELD_INTEGER, .def = "600", .min = 1, .max = 86400, .help = "other protocols", .unit = "seconds"},
	{.type = FIELD_END},
};

static const struct field tls_fields[] = {
	TLS_FIELDS,
	{"clients", FIELD_STRING, .flags = FIELD_LIST, .help = "names of which a controller's certificate must bear one (default: any of the CA)", .min = 1, .max = 253, .min_items = 1, .max_items = TLS_CLIENTS_MAX},
	{.type = FIELD_END},
};

#define LIMIT(key, number, text) {key, FIELD_INTEGER, .def = number, .max = LIMIT_MOST, .help = text "; 0: no limit", .unit = "a second"}
static const struct field limit_fields[] = {
	LIMIT("arp_nd", "1000", "ARP packets and neighbour discovery that a port may send"),
	LIMIT("dhcp", "50", "DHCP requests of a port, both families"),
	LIMIT("ping", "1000", "packets of a port to its gateway"),
	{"icmp_errors", FIELD_INTEGER, .def = "100", .min = 1, .max = 1000, .help = "ICMP errors that a port is sent", .unit = "a second"},
	LIMIT("new_flows", "100000", "new flows of a port"),
	LIMIT("device_new_flows", "0", "the same of a `device`, behind which may be many machines"),
	{"vpc_sessions_percent", FIELD_INTEGER, .def = "50", .min = 1, .max = 100, .help = "most of `capacity.sessions` that a VPC may have that is not alone on this node", .unit = "per cent"},
	{"unanswered_percent", FIELD_INTEGER, .def = "50", .min = 1, .max = 100, .help = "most of them that may be flows without an answer", .unit = "per cent"},
	{.type = FIELD_END},
};

static const struct field inspect_fields[] = {
	{"ifname", FIELD_IFNAME, .def = "\"vpc-inspect\"", .help = "the TAP that is made for what vpc-inspectd looks at"},
	{.type = FIELD_END},
};

static const struct field node_fields[] = {
	{"node", FIELD_NAME, .help = "name of this node (default: the host's name, in lower case and without its domain)"},
	{"rpc", FIELD_URL_RPC, .help = "southbound socket", .def = "\"/run/vpc/dataplane.sock\""},
	{"tls", FIELD_OBJECT, .help = "who we are and whom we trust, with rpc: tls://ADDRESS:PORT", .fields = tls_fields},
	{"state", FIELD_STRING, .help = "file that keeps what this node was told, to forward by at the next start (default: NAME.state in " NODE_STATE_DIR ", NAME being the socket's; beside a socket that is not in /run; empty: none)", .max = 4000},
	{"nat_log", FIELD_STRING, .help = "file that NAT gateways with `log` write to, one JSON object a line (default: that of `state` with .nat.jsonl behind it; empty: none)", .max = 4000},
	{"workers", FIELD_INTEGER, .flags = FIELD_LIST, .help = "CPU ids of the forwarding threads (default: the last CPU)", .max = 4095, .max_items = WORKER_MAX},
	{"main_cpu", FIELD_INTEGER, .help = "CPU id of everything else", .def = "0", .max = 4095},
	{"idle", FIELD_ENUM, .help = "what a worker does when nothing arrives", .def = "\"adaptive\"",
	 .values = (const struct field_value[]){{"adaptive", "sleeps"}, {"poll", "never sleeps"}, {NULL, NULL}}},
	{"memory", FIELD_OBJECT, .help = "memory", .fields = memory_fields, .def = "{}"},
	{"underlay", FIELD_OBJECT, .help = "the network between hosts; none: a single host", .fields = underlay_fields},
	{"external", FIELD_OBJECT, .flags = FIELD_LIST, .help = "outside networks of a gateway node", .fields = external_fields, .max_items = 128},
	{"capacity", FIELD_OBJECT, .help = "sizes of tables", .fields = capacity_fields, .def = "{}"},
	{"timeouts", FIELD_OBJECT, .help = "idle times after which a session is removed", .fields = timeout_fields, .def = "{}"},
	{"recover_s", FIELD_INTEGER, .def = "60", .max = 3600, .unit = "seconds",
	 .help = "after a start, TCP connections in progress are picked up where rules would admit them for so long"},
	{"limits", FIELD_OBJECT, .help = "what one port or VPC may ask of this node", .fields = limit_fields, .def = "{}"},
	{"inspect", FIELD_OBJECT, .help = "inspection", .fields = inspect_fields, .def = "{}"},
	{"eal", FIELD_STRING, .flags = FIELD_LIST, .help = "further EAL arguments", .def = "[]"},
	{.type = FIELD_END},
};
/* clang-format on */

static int check_cpus(struct config *file, struct node_config *c)
{
	const json_t *list = json_object_get(c->root, "workers"), *cpu;
	unsigned int online = (unsigned int)sysconf(_SC_NPROCESSORS_CONF);
	size_t i;

	if (json_array_size(list) == 0)
		c->workers[c->n_workers++] = online - 1;
	json_array_foreach (list, i, cpu) {
		char pointer[32];

		snprintf(pointer, sizeof(pointer), "/workers/%zu", i);
		if (json_integer_value(cpu) >= online)
			return config_error(
				file, pointer, "this machine has CPUs 0 to %u", online - 1);
		for (size_t other = 0; other < i; other++)
			if (json_equal(json_array_get(list, other), cpu))
				return config_error(file, pointer, "is in the list twice");
		c->workers[c->n_workers++] = (unsigned int)json_integer_value(cpu);
	}
	c->main_cpu = (unsigned int)resource_integer(c->root, "main_cpu", 0);
	if (c->main_cpu >= online)
		return config_error(file, "/main_cpu", "this machine has CPUs 0 to %u", online - 1);
	return 0;
}

static int check_rpc(struct config *file, const struct node_config *c)
{
	struct sockaddr_storage address;
	struct tls_files files;
	struct tls_fault fault;
	char pointer[32];
	socklen_t len;

	if (c->rpc[0] == '/')
		return c->tls == NULL ? 0
				      : config_error(file, "/tls",
						"is for rpc: tls://ADDRESS:PORT, not for a socket");
	if (jsonrpc_address(c->rpc, &address, &len) < 0)
		return config_error(file, "/rpc",
			"must have an address of this host, such as tls://0.0.0.0:9471");
	if (c->tls == NULL)
		return config_error(file, "/rpc", "needs `tls`: cert, key and ca");
	files = tls_files_of(c->tls);
	if (tls_check(TLS_SERVER, &files, &fault))
		return 0;
	snprintf(pointer, sizeof(pointer), "/tls/%s", fault.field);
	return config_error(file, pointer, "%s", fault.reason);
}

/* This node's address in the underlay, by family. */
struct own_address {
	struct ip_addr addr;
	struct ip_prefix network;
	bool given;
};

/* IPv6 has subnet-router anycast there, and a /31 (RFC 3021) two hosts. */
static bool is_network_address(const struct own_address *own)
{
	return ip_addr_is_v4(&own->addr) && own->network.len < IP_V4_BITS + 31 &&
	       ip_addr_equal(&own->addr, &own->network.addr);
}

static int check_own_address(
	struct config *file, const char *text, const char *pointer, struct own_address own[2])
{
	struct own_address o = {.given = true};

	if (text == NULL)
		return 0;
	if (!ip_interface_parse(text, &o.addr, &o.network))
		return config_error(
			file, pointer, "is no address with prefix length, such as 192.0.2.1/24");
	if (is_network_address(&o))
		return config_error(file, pointer, "is the address of the network, not of a host");
	if (own[!ip_addr_is_v4(&o.addr)].given)
		return config_error(file, pointer, "is of the same family as `address`");
	own[!ip_addr_is_v4(&o.addr)] = o;
	return 0;
}

static int check_gateway(
	struct config *file, const char *text, const char *pointer, const struct own_address own[2])
{
	char network[NET_PREFIX_TEXT];
	struct ip_addr gateway;
	bool v6;

	if (text == NULL)
		return 0;
	if (!ip_addr_parse(text, &gateway))
		return config_error(file, pointer, "is no IP address");
	v6 = !ip_addr_is_v4(&gateway);
	if (!own[v6].given)
		return config_error(
			file, pointer, "there is no IPv%d address to reach it from", v6 ? 6 : 4);
	if (!ip_prefix_contains(&own[v6].network, &gateway) && !ip_addr_is_link_local(&gateway))
		return config_error(
			file, pointer, "is not in %s", ip_prefix_format(&own[v6].network, network));
	if (ip_addr_equal(&own[v6].addr, &gateway))
		return config_error(file, pointer, "is this node's own address");
	return 0;
}

static int check_underlay(struct config *file, const struct node_config *c)
{
	bool ifname = json_object_get(c->underlay, "ifname") != NULL;
	struct own_address own[2] = {{.given = false}};
	int err;

	if (c->underlay == NULL)
		return 0;
	if (ifname == (json_object_get(c->underlay, "device") != NULL))
		return config_error(file, "/underlay", "give either `ifname` or `device`");
	err = check_own_address(
		file, resource_text(c->underlay, "address"), "/underlay/address", own);
	if (err == 0)
		err = check_own_address(
			file, resource_text(c->underlay, "address6"), "/underlay/address6", own);
	if (err == 0)
		err = check_gateway(
			file, resource_text(c->underlay, "gateway"), "/underlay/gateway", own);
	if (err == 0)
		err = check_gateway(
			file, resource_text(c->underlay, "gateway6"), "/underlay/gateway6", own);
	return err;
}

/* What entries of one network, or of one interface, have to agree in, where both say it. */
static const char *const of_network[] = {"ifname", "device", "mode", "vlan", "mac", "mtu", NULL};
static const char *const of_interface[] = {"mode", NULL};

static bool same_text(const json_t *a, const json_t *b, const char *key)
{
	const char *x = resource_text(a, key), *y = resource_text(b, key);

	return x != NULL && y != NULL && strcmp(x, y) == 0;
}

static int check_agreement(struct config *file, size_t i, const json_t *entry, const json_t *other,
	const char *const *keys, const char *what)
{
	char pointer[64];

	for (; *keys != NULL; keys++) {
		const json_t *mine = json_object_get(entry, *keys);
		const json_t *theirs = json_object_get(other, *keys);

		if (mine == NULL || theirs == NULL || json_equal(mine, theirs))
			continue;
		snprintf(pointer, sizeof(pointer), "/external/%zu/%s", i, *keys);
		return config_error(
			file, pointer, "another entry of %s has another %s", what, *keys);
	}
	return 0;
}

/* Two entries: of one network, or of two that may be on one interface. */
static int check_pair(struct config *file, size_t i, const json_t *entry, const json_t *other)
{
	bool v6 = strchr(resource_text(entry, "address"), ':') != NULL;
	char pointer[64];

	if (same_text(entry, other, "name")) {
		if ((strchr(resource_text(other, "address"), ':') != NULL) == v6) {
			snprintf(pointer, sizeof(pointer), "/external/%zu/name", i);
			return config_error(file, pointer, "has an entry of this family already");
		}
		if ((json_object_get(entry, "ifname") == NULL) !=
			(json_object_get(other, "ifname") == NULL)) {
			snprintf(pointer, sizeof(pointer), "/external/%zu", i);
			return config_error(file, pointer,
				"another entry of this network is on another interface");
		}
		return check_agreement(file, i, entry, other, of_network, "this network");
	}
	if (!same_text(entry, other, "ifname") && !same_text(entry, other, "device"))
		return 0;
	if (resource_integer(entry, "vlan", 0) == resource_integer(other, "vlan", 0)) {
		snprintf(pointer, sizeof(pointer), "/external/%zu/vlan", i);
		return config_error(
			file, pointer, "is that of network %s", resource_text(other, "name"));
	}
	return check_agreement(file, i, entry, other, of_interface, "this interface");
}

static int check_external_entry(struct config *file, size_t i, const json_t *entry)
{
	bool ifname = json_object_get(entry, "ifname") != NULL;
	struct own_address own[2] = {{.given = false}};
	const json_t *gateway;
	char pointer[64];
	size_t n;
	int err;

	snprintf(pointer, sizeof(pointer), "/external/%zu", i);
	if (ifname == (json_object_get(entry, "device") != NULL))
		return config_error(file, pointer, "give either `ifname` or `device`");
	snprintf(pointer, sizeof(pointer), "/external/%zu/address", i);
	err = check_own_address(file, resource_text(entry, "address"), pointer, own);
	json_array_foreach (json_object_get(entry, "gateway"), n, gateway) {
		snprintf(pointer, sizeof(pointer), "/external/%zu/gateway/%zu", i, n);
		if (err == 0)
			err = check_gateway(file, json_string_value(gateway), pointer, own);
	}
	return err;
}

/* One entry for each network and family. */
static int check_external(struct config *file, const struct node_config *c)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (c->external, i, entry) {
		int err = check_external_entry(file, i, entry);

		for (size_t j = 0; err == 0 && j < i; j++)
			err = check_pair(file, i, entry, json_array_get(c->external, j));
		if (err != 0)
			return err;
	}
	return 0;
}

/* As configured; else the socket's name with another ending, and where a reboot does not take it away. NULL: none. */
static const char *state_path(const struct node_config *c)
{
	static char path[4096];
	const char *given = resource_text(c->root, "state");
	const char *socket = c->rpc[0] == '/' ? c->rpc : "/run/vpc/dataplane.sock";
	bool volatile_place = strncmp(socket, "/run/", 5) == 0;
	size_t len;

	if (given != NULL)
		return *given != '\0' ? given : NULL;
	if (volatile_place)
		socket = strrchr(socket, '/') + 1;
	len = strlen(socket);
	if (len > 5 && strcmp(socket + len - 5, ".sock") == 0)
		len -= 5;
	snprintf(path, sizeof(path), "%s%.*s.state", volatile_place ? NODE_STATE_DIR "/" : "",
		(int)len, socket);
	return path;
}

static const char *usage_path(const struct node_config *c)
{
	static char path[4200];

	if (c->state == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s.usage", c->state);
	return path;
}

static const char *nat_log_path(const struct node_config *c)
{
	const char *given = resource_text(c->root, "nat_log");
	static char path[4200];

	if (given != NULL)
		return *given != '\0' ? given : NULL;
	if (c->state == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s.nat.jsonl", c->state);
	return path;
}

/* One next hop may stand without brackets. */
static void list_gateways(json_t *root)
{
	json_t *entry, *gateway;
	size_t i;

	json_array_foreach (json_object_get(root, "external"), i, entry) {
		gateway = json_object_get(entry, "gateway");
		if (json_is_string(gateway))
			json_object_set_new(entry, "gateway", json_pack("[O]", gateway));
	}
}

int node_config_load(struct node_config *c, const char *path)
{
	static char hostname[DAEMON_HOST_NAME];
	const json_t *memory, *capacity;
	struct config file;
	int err;

	memset(c, 0, sizeof(*c));
	err = config_load(&file, path);
	if (err == 0) {
		list_gateways(file.root);
		err = config_check(&file, node_fields);
	}
	if (err != 0) {
		config_free(&file);
		return err;
	}
	c->root = json_incref(file.root);
	c->node = resource_text(c->root, "node");
	if (c->node == NULL)
		c->node = daemon_host_name(hostname);
	c->rpc = resource_text(c->root, "rpc");
	c->tls = json_object_get(c->root, "tls");
	c->state = state_path(c);
	c->usage = usage_path(c);
	c->nat_log = nat_log_path(c);
	c->idle = strcmp(resource_text(c->root, "idle"), "poll") == 0 ? IDLE_POLL : IDLE_ADAPTIVE;
	memory = json_object_get(c->root, "memory");
	c->hugepages = strcmp(resource_text(memory, "hugepages"), "auto") == 0;
	c->size_mb = (unsigned int)resource_integer(memory, "size_mb", 512);
	capacity = json_object_get(c->root, "capacity");
	c->sessions = (uint32_t)resource_integer(capacity, "sessions", 0);
	c->timeouts = json_object_get(c->root, "timeouts");
	c->limits = json_object_get(c->root, "limits");
	c->recover_s = (uint32_t)resource_integer(c->root, "recover_s", 0);
	c->inspect_ifname = resource_text(json_object_get(c->root, "inspect"), "ifname");
	c->endpoints = (uint32_t)resource_integer(capacity, "endpoints", 0);
	c->ports = (uint32_t)resource_integer(capacity, "ports", 0);
	c->vpcs = (uint32_t)resource_integer(capacity, "vpcs", 0);
	c->underlay = json_object_get(c->root, "underlay");
	c->external = json_object_get(c->root, "external");
	c->eal = json_object_get(c->root, "eal");
	err = check_cpus(&file, c);
	if (err == 0)
		err = check_rpc(&file, c);
	if (err == 0)
		err = check_underlay(&file, c);
	if (err == 0)
		err = check_external(&file, c);
	config_free(&file);
	if (err != 0)
		node_config_free(c);
	return err;
}

void node_config_free(struct node_config *c)
{
	json_decref(c->root);
	memset(c, 0, sizeof(*c));
}
