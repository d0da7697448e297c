/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_MEMIF_H
#define PORT_MEMIF_H
/* Ports of shared memory to another process: ours, VPP, whatever speaks memif 2.0 (the layouts are libmemif's). DPDK's own driver takes
 * its rings apart under workers that use them when the peer dies, has to be polled, and does not come back after a
 * server's crash; so this is our own. Two files: the port and its connection (memif.c), packets (memif_io.c).
 *
 * A server listens, a client connects and owns the memory: one region with both rings and their buffers. Frames are copied into it and
 * out of it. What the peer writes there is read once and checked: it may be anybody.
 *
 * Threads. The connection lives on the control thread, in link_up(), which runs whenever one of its sockets is readable
 * (port_links_watch). Workers read one pointer, `active`; a link is taken apart a grace period after it is cleared.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <rte_spinlock.h>

#include "port/port.h"

#define MEMIF_COOKIE 0x3e31f20u
#define MEMIF_VERSION 0x0200
#define MEMIF_REGIONS_MAX 16
#define MEMIF_RING_LOG2_MAX 14
#define MEMIF_BUFFER 2048 /* bytes, of our regions */

struct memif_desc {
	uint16_t flags;
	uint16_t region;
	uint32_t length; /* a frame's bytes, or of an empty buffer the room */
	uint32_t offset; /* in the region */
	uint32_t metadata;
};
#define MEMIF_DESC_NEXT 1 /* the frame goes on in the next descriptor */

struct memif_ring {
	uint32_t cookie;
	uint16_t flags; /* the reader's */
	uint16_t head;  /* the client's: frames it sent, or buffers it gave */
	uint8_t pad0[56];
	uint16_t tail; /* the server's: frames it took, or buffers it filled */
	uint8_t pad1[62];
	struct memif_desc desc[];
};
#define MEMIF_RING_NO_INTERRUPT 1

_Static_assert(sizeof(struct memif_desc) == 16 && sizeof(struct memif_ring) == 128, "libmemif's");

/* Our end of a ring. */
struct memif_end {
	struct memif_ring *ring;
	uint16_t size; /* a power of two */
	uint16_t pos;  /* of the next descriptor, as head and tail count */
	int event_fd;  /* the writer signals the reader */
};

struct memif_region {
	uint8_t *base;
	uint64_t size;
	int fd;
};

/* What workers use of a connected peer. */
struct memif_link {
	bool client;         /* we are */
	_Atomic bool broken; /* the peer wrote nonsense. Written by workers */
	unsigned int n_regions;
	struct memif_region regions[MEMIF_REGIONS_MAX];
	struct memif_end rx; /* the worker that polls it */
	struct memif_end tx; /* under tx_lock */
	rte_spinlock_t tx_lock;
	/* Client: where the buffers of a ring begin, by descriptor. */
	uint32_t rx_buffers, tx_buffers;
};

struct memif {
	struct memif_link *_Atomic active;
	bool server;
	bool resting; /* the ring's interrupt is asked for. The worker that polls it */
	uint32_t id;
	struct port *port;
	struct memif_conn *conn; /* NULL: no peer */
	struct memif_listener *listener;
	struct memif *next; /* of the same listener */
	int epoll_fd;       /* the port's rx_fd: on wake_fd and on the ring's event */
	int wake_fd;
	struct sockaddr_un addr;
};

/* memif_io.c: for the driver. */
uint16_t memif_rx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t memif_tx_burst(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
bool memif_rest(struct port *port, uint16_t queue);
/* Client: all buffers of the rx ring are the server's to fill. Before the link is used. */
void memif_give_buffers(struct memif_link *link);

#endif
