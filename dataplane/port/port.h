/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_PORT_H
#define PORT_PORT_H
/* The port layer: whatever carries frames in and out (a TAP, a kernel interface, an ethdev, the underlay),
 * behind one small driver interface, because ethdev ends at 32 devices in Debian's build and a host has
 * thousands of vNICs.
 *
 * Threads: a port is created, opened, closed and freed by the control thread. rx_burst is called by the one
 * worker that owns the port's queue; tx_burst by any worker, each with its own queue number, concurrently.
 *
 * Frames: mbufs carry offload requests in DPDK's TX sense from RX on. A partial checksum is RTE_MBUF_F_TX_{TCP,UDP}_CKSUM with
 * RTE_MBUF_F_TX_IPV4/IPV6, l2_len and l3_len set and the pseudo-header sum in place. A GSO frame has the same (so
 * `ol_flags & RTE_MBUF_F_TX_L4_MASK` alone tells a partial checksum; its pseudo header has the whole frame's length, as in Linux) and
 * RTE_MBUF_F_TX_TCP_SEG or RTE_MBUF_F_TX_UDP_SEG with l4_len and tso_segsz. Whoever moves headers in front of L4 keeps
 * l2_len and l3_len right. RTE_MBUF_F_RX_{IP,L4}_CKSUM_GOOD/BAD are set when the device knows. Headers are in the first segment.
 */
#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "base/cache_line.h"
#include "core/location.h"
#include "core/rcu.h"
#include "core/worker.h"

#define PORT_NAME_MAX 64
#define PORT_REASON_MAX 160
#define PORT_QUEUES_MAX 64
/* A driver of GSO frames ends a burst here, so that the frames are still in the cache when they are sent. */
#define PORT_BURST_BYTES (128 << 10)
/* The most frames that tx_burst is given. */
#define PORT_TX_MAX 64

enum port_cap {
	PORT_CAP_CSUM = 1 << 0, /* takes TX_{TCP,UDP}_CKSUM */
	PORT_CAP_TSO4 = 1 << 1, /* takes TX_TCP_SEG over IPv4 */
	PORT_CAP_TSO6 = 1 << 2,
	PORT_CAP_USO = 1 << 3,       /* takes TX_UDP_SEG, both families */
	PORT_CAP_MULTI_SEG = 1 << 4, /* takes chained mbufs */
	PORT_CAP_COALESCE =
		1
		<< 6, /* each frame costs it much: TCP segments of a burst are put together (coalesce.h) */
	PORT_CAP_UDP_SUPER =
		1 << 5, /* equal-size UDP datagrams may leave as one GSO_UDP_L4 frame */
};

enum port_state { PORT_DETACHED, PORT_ACTIVE, PORT_DOWN, PORT_ERROR };

struct port;

/* What to open; strings belong to the caller and live until open returns. */
struct port_spec {
	const char *type;    /* "tap", "netdev", "device", "memif", "vhost_user" */
	const char *ifname;  /* tap, netdev */
	const char *netns;   /* tap: name under /run/netns or a path, or NULL */
	bool configure;      /* tap: set addresses, default routes, bring it up */
	const char *mode;    /* netdev: "af_packet" (also NULL), "af_xdp" */
	const char *devargs; /* device */
	const char *socket;  /* memif, vhost_user */
	uint32_t id;         /* memif */
	const char *role;    /* memif, vhost_user: "server", "client" */
	uint32_t queues;     /* vhost_user: pairs */
	uint16_t mtu;        /* IP bytes */
	struct rte_ether_addr
		mac; /* of the tenant's vNIC (tap: set on the kernel side when moved) */
	/* tap with configure */
	const char *const *addresses; /* "10.0.0.5/24" … */
	unsigned int n_addresses;
	const char *gateway4, *gateway6;
	/* tap: who it belongs to over restarts of this process, "vpc NODE PORT", and the VPC's VNI. NULL: it goes with the
	 * process. */
	const char *owner;
	uint32_t vni;
};

struct port_driver {
	const char *type;
	const char *mode; /* of a type that has several; NULL: any */
	size_t priv_size;
	/* 0 or -errno with the reason in port->reason. Sets caps, n_rx_queues (at most
	 * PORT_QUEUES_MAX), rx_fd, rx_fds. */
	int (*open)(struct port *port, const struct port_spec *spec);
	void (*close)(struct port *port);
	/* With an rx_fd, 0 means that the device is drained: its fd tells of the next frame (edge-triggered). */
	uint16_t (*rx_burst)(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
	/* Takes ownership of the first `returned` packets (sent); the rest stay with the caller. When fewer are
	 * taken rte_errno says why: EAGAIN (full), ENETDOWN, or what is wrong with the first one left. It may re-order them
	 * between flows. */
	uint16_t (*tx_burst)(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
	/* Optional, with an rx_fd whose events have to be asked for: rx_burst has found nothing; ask now. False: read on, either it is
	 * too early for that or a frame came meanwhile. The worker that reads the queue. */
	bool (*rest)(struct port *port, uint16_t queue);
	/* Optional: able to carry; when not, port->reason says why. Control thread, about once a second. */
	bool (*link_up)(struct port *port);
	int (*set_mtu)(struct port *port, uint16_t mtu);
	struct port_driver *next;
};

void port_driver_register(struct port_driver *driver);
#define PORT_DRIVER(var, ...)                                                                      \
	static struct port_driver var = {__VA_ARGS__};                                             \
	__attribute__((constructor)) static void var##_register(void)                              \
	{                                                                                          \
		port_driver_register(&var);                                                        \
	}

struct port_counters { /* per worker; rx: what the port sent us, tx: what it was given. Frame bytes */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
} __rte_cache_aligned;
_Static_assert(sizeof(struct port_counters) == CACHE_LINE, "workers share no line");

/* First cache line: what every packet of a burst reads. */
struct port {
	uint32_t index;     /* 0 .. capacity-1; loc_port(index) */
	uint32_t vpc_index; /* PKT_VPC_NONE: not a tenant port (underlay, external) */
	uint32_t caps;      /* enum port_cap */
	uint16_t mtu;
	uint8_t enabled;
	uint8_t state; /* enum port_state; written by the control thread */
	/* Side by side, as in a frame that the machine sends to be routed. */
	struct rte_ether_addr gw_mac; /* the VPC gateway's */
	struct rte_ether_addr mac;    /* its own */
	uint8_t hooked; /* whose programs are asked (enum observe_direction), see hook_sent. Written by the control thread */
	const struct port_driver *driver;
	void *priv;
	struct port_counters *counters; /* [worker_count], each on its own line */
	uint8_t port_security;
	uint8_t n_rx_queues;
	uint8_t role;      /* enum port_role */
	uint8_t rx_worker; /* worker that polls its first queue */
	uint8_t tapped; /* who looks (enum observe_direction), see tap_sent. Written by the control thread */
	bool shared_device; /* a DPDK device: many machines may be behind it */
	uint16_t
		life; /* differs from that of the last ports of this index: for who kept the index meanwhile. Not 0 */
	/* Observers by id (observe/): of what it sends, of what it is given. Written by the control thread, read if `tapped` */
	_Atomic uint64_t tap_sent, tap_given;
	_Atomic uint64_t hook_sent, hook_given; /* the same of hooks (hook/), read if `hooked` */
	_Atomic bool polled; /* handed to that worker. Written by the control thread */
	/* Cold. */
	int rx_fd __rte_cache_aligned; /* of the first queue, to sleep on; or -1: must be polled */
	const int *rx_fds;             /* of all queues, when there are several; the driver's */
	bool leaving;                  /* port_leave(): for the driver's close */
	char name[PORT_NAME_MAX];
	char reason[PORT_REASON_MAX]; /* why state is not active */
	uint8_t open_failures;        /* in a row; vnic.c */
	uint64_t usage;               /* this life of its counters, core/usage.h */
	uint64_t revision;            /* of the tenant port's object */
	void *vnic; /* tenant ports: struct vnic of vpc/ (its addresses, groups …) */
	struct port *next_of_name; /* of the same hash; control thread */
};
_Static_assert(
	offsetof(struct port, life) + sizeof(uint16_t) <= CACHE_LINE, "what each packet reads");
_Static_assert(offsetof(struct port, rx_fd) % CACHE_LINE == 0, "what is cold stands apart");

enum port_role { PORT_TENANT, PORT_UNDERLAY, PORT_EXTERNAL, PORT_HEALTH, PORT_ROLES };

/* Room for `capacity` ports. Once, when the workers' wake_fd are open and before they run. */
int port_init(uint32_t capacity);
/* By index; for port_get() in line only. */
struct port_table {
	struct port *_Atomic *ports;
	uint32_t capacity;
};
extern struct port_table port_table;

/* The port of an index, or NULL. Worker-safe under RCU. */
static inline struct port *port_get(uint32_t index)
{
	return likely(index < port_table.capacity) ? rcu_ptr_get(port_table.ports[index]) : NULL;
}

/* Makes a port object of that name without opening it; NULL with errno EEXIST, ENOSPC. */
struct port *port_new(const char *name, enum port_role role);
/* Opens the device and, with success, hands it to a worker to poll. On failure state is PORT_ERROR with a reason. */
int port_open(struct port *port, const struct port_spec *spec);
/* Stops polling, waits a grace period, closes the device; the object stays, detached. Blocks for at most some ms. */
void port_close(struct port *port);
/* The same at the end of the process: what can outlive it does, for the next one to adopt (a TAP with its addresses). */
void port_leave(struct port *port);
/* Closes and, after a grace period, frees. */
void port_free(struct port *port);
struct port *port_by_name(const char *name);
/* Iteration on the control thread. */
struct port *port_next(struct port *previous);
/* Sum of the workers' counters. Any thread. */
struct port_counters port_counters_sum(const struct port *port);
/* Asks the drivers whether links are up and sets states; calls `changed` (may be NULL) for each that differs. Control
 * thread, from a timer of about a second. */
void port_check_links(void (*changed)(struct port *port));
/* For drivers: links have changed, port_check_links() shall run soon. Any thread. */
void port_links_look(void);
/* The same whenever the fd is readable (edge-triggered), until it is closed. -errno. Control thread. */
int port_links_watch(int fd);
/* Readable after that until port_links_looked(); for the control thread's event loop. */
int port_links_fd(void);
void port_links_looked(void);

/* For drivers: the text of port->reason; returns `error`. */
int port_fail(struct port *port, int error, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Completes what the port can not carry (checksums, segmentation) and sends. Consumes all `n` mbufs; counts sent, dropped (queue_full,
 * port_down) and generated (extra segments) on this worker. Workers only. */
void port_send(struct port *port, struct rte_mbuf **pkts, uint16_t n);

#endif
