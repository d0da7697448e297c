/* SPDX-License-Identifier: Apache-2.0 */
/* external.list: the outside networks of this node and how they are. */
#include "base/ip_text.h"
#include "core/rpc.h"
#include "external/external_internal.h"
#include "external/external_trunk.h"

static const struct external_trunk *trunk_of(const struct external *ext)
{
	const struct external_trunk *t;

	for (struct port *p = port_next(NULL); p != NULL; p = port_next(p)) {
		t = p->role == PORT_EXTERNAL ? external_trunk_of(p->index) : NULL;
		for (uint32_t i = 0; t != NULL && i < EXTERNALS_MAX; i++)
			if (t->networks[i] == ext)
				return t;
	}
	return NULL;
}

static json_t *addresses(const struct external *ext)
{
	char addr[NET_ADDR_TEXT], text[NET_ADDR_TEXT + 4];
	json_t *list = json_array();

	for (unsigned int v6 = 0; v6 < 2; v6++) {
		const struct external_family *f = external_family(ext, v6);

		if (!external_has(ext, v6))
			continue;
		snprintf(text, sizeof(text), "%s/%u", ip_addr_format(&f->address, addr),
			f->prefix.len - (v6 ? 0u : IP_V4_BITS));
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *counters(const struct port *port)
{
	struct port_counters c = port_counters_sum(port);

	return json_pack("{s:I, s:I, s:I, s:I}", "rx_packets", (json_int_t)c.rx_packets, "rx_bytes",
		(json_int_t)c.rx_bytes, "tx_packets", (json_int_t)c.tx_packets, "tx_bytes",
		(json_int_t)c.tx_bytes);
}

static json_t *describe(const struct external *ext)
{
	const struct external_trunk *t = trunk_of(ext);
	bool up = ext->port->state == PORT_ACTIVE;
	char mac[NET_MAC_TEXT];

	external_mac_format(&ext->port->mac, mac);
	return json_pack("{s:s, s:s?, s:i, s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "name", ext->name,
		"ifname",
		t == NULL                ? NULL
		: t->spec.ifname != NULL ? t->spec.ifname
					 : t->spec.devargs,
		"vlan", external_port_vlan(ext), "mac", mac, "state", up ? "up" : "down", "reason",
		up ? "" : ext->port->reason, "mtu", ext->port->mtu, "addresses", addresses(ext),
		"gateways", external_gateways_json(ext), "counters", counters(ext->port));
}

static void list(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	json_t *items = json_array();
	const struct external *ext;

	(void)params;
	(void)ctx;
	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++)
		json_array_append_new(items, describe(ext));
	jsonrpc_reply(call, json_pack("{s:o}", "items", items));
}
RPC_METHOD(external_list_method, "external.list", list)
