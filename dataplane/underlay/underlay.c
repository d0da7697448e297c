/* SPDX-License-Identifier: Apache-2.0 */
#include "underlay/underlay.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/ip_text.h"
#include "core/config.h"
#include "core/control.h"
#include "core/rpc.h"
#include "core/worker.h"
#include "lib/log.h"
#include "underlay/kernel_quiet.h"
#include "underlay/netlink.h"
#include "underlay/next_hop.h"

static struct port *port;
static struct next_hop_config own;
static const char *twin; /* the kernel's interface, or NULL */
static uint16_t mtu;
static struct event *timer;

struct port *underlay_port(void)
{
	return port;
}

const struct ip_addr *underlay_address(bool v6)
{
	const struct ip_addr *a = &own.own[v6];

	return (a->q[0] | a->q[1]) != 0 ? a : NULL;
}

uint16_t underlay_mtu(void)
{
	return mtu;
}

static const char *text_of(const json_t *config, const char *member)
{
	return json_string_value(json_object_get(config, member));
}

/* Both are checked with the configuration. */
static void add_own(const char *text)
{
	struct ip_prefix network;
	struct ip_addr a;

	if (!ip_interface_parse(text, &a, &network))
		return;
	own.own[!ip_addr_is_v4(&a)] = a;
	own.on_link[!ip_addr_is_v4(&a)] = network;
}

static void add_gateway(const char *text)
{
	struct ip_addr a;

	if (ip_addr_parse(text, &a))
		own.gateway[!ip_addr_is_v4(&a)] = a;
}

static uint16_t kernel_mtu(const char *ifname)
{
	struct ifreq req = {.ifr_mtu = 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &req) != 0)
		req.ifr_mtu = 1500;
	if (fd >= 0)
		close(fd);
	return (uint16_t)(req.ifr_mtu > UINT16_MAX ? UINT16_MAX : req.ifr_mtu);
}

/* Its strings are the configuration's. */
static struct port_spec spec;

static int open_port(const json_t *config)
{
	struct port *p = port_new("underlay", PORT_UNDERLAY);
	int err;

	if (p == NULL)
		return -errno;
	spec = (struct port_spec){
		.type = text_of(config, "device") != NULL ? "device" : "netdev",
		.ifname = text_of(config, "ifname"),
		.mode = text_of(config, "mode"),
		.devargs = text_of(config, "device"),
		.mtu = mtu,
	};
	err = port_open(p, &spec);
	if (err != 0) {
		log_error("the underlay can not be opened", LOG_STR("reason", p->reason));
		return err;
	}
	port = p;
	return 0;
}

static void mac_changed(const struct rte_ether_addr *mac)
{
	if (rte_is_same_ether_addr(&port->mac, mac))
		return;
	port->mac = *mac;
	neighbour_link_set_mac(next_hop_link(), mac);
	neighbour_link_announce(next_hop_link(), clock_ms());
}

void underlay_link_changed(void)
{
	bool up = port->state == PORT_ACTIVE;

	rpc_event(up ? "info" : "warning", "node", node_config.node,
		up ? "underlay_up" : "underlay_down", "the underlay of %s: %s", node_config.node,
		up ? "carries traffic" : port->reason);
	if (up)
		neighbour_link_announce(next_hop_link(), clock_ms());
}

/* The interface was made anew: on with that one. */
static void replaced(void)
{
	port_close(port);
	memset(&port->mac, 0, sizeof(port->mac));
	if (port_open(port, &spec) != 0) {
		log_error("the underlay can not be opened again", LOG_STR("reason", port->reason));
		return;
	}
	kernel_quiet(twin, &own.own[1]);
	neighbour_link_set_mac(next_hop_link(), &port->mac);
	if (port->state == PORT_ACTIVE) /* else it is told when that changes */
		underlay_link_changed();
}

static void receive(const uint8_t *frame, uint16_t len, loc_t in)
{
	(void)in;
	neighbour_link_receive(next_hop_link(), frame, len, clock_ms());
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	uint32_t now_ms = clock_ms();

	(void)fd;
	(void)what;
	(void)arg;
	netlink_tick(now_ms);
	neighbour_link_tick(next_hop_link(), now_ms);
}

static int start_timer(struct event_base *base)
{
	struct timeval period = {0, NEIGHBOUR_TICK_MS * 1000};

	timer = event_new(base, -1, EV_PERSIST, tick, NULL);
	return timer != NULL && event_add(timer, &period) == 0 ? 0 : -ENOMEM;
}

void underlay_stop(void)
{
	netlink_stop();
	if (timer != NULL)
		event_free(timer);
}

static void configure(const json_t *config)
{
	const json_t *mtu_given = json_object_get(config, "mtu");

	add_own(text_of(config, "address"));
	add_own(text_of(config, "address6"));
	add_gateway(text_of(config, "gateway"));
	add_gateway(text_of(config, "gateway6"));
	twin = text_of(config, "ifname");
	mtu = json_is_integer(mtu_given) ? (uint16_t)json_integer_value(mtu_given)
	      : twin != NULL             ? kernel_mtu(twin)
					 : 1500;
	own.static_entries = json_object_get(config, "neighbours");
}

static int run(struct event_base *base)
{
	int err;

	port->enabled = 1;
	own.own_mac = port->mac;
	if (twin != NULL) {
		own.kernel_route = netlink_route;
		err = netlink_start(twin, own.own, base,
			&(struct netlink_handlers){
				.mac_changed = mac_changed, .replaced = replaced});
		if (err != 0)
			return err;
	}
	control_receiver_set(CONTROL_NEIGHBOUR, receive);
	next_hop_start(&own, clock_ms());
	return start_timer(base);
}

int underlay_start(const json_t *config, struct event_base *base)
{
	int err;

	if (config == NULL) {
		log_info("no underlay: machines of this host only reach each other");
		return 0;
	}
	configure(config);
	err = open_port(config);
	if (err != 0)
		return err;
	if (twin != NULL)
		kernel_quiet(twin, &own.own[1]);
	err = run(base);
	if (err == 0)
		neighbour_link_announce(next_hop_link(), clock_ms());
	return err;
}

int underlay_start_on(struct port *opened, const json_t *config, struct event_base *base)
{
	configure(config);
	port = opened;
	return run(base);
}
