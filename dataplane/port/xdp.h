/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PORT_XDP_H
#define PORT_XDP_H
/* The program on an interface that hands each queue's frames to the XDP socket in its slot of a map, and those of queues without
 * one to the kernel. It hangs on a BPF link, which the kernel takes off when the process ends, however it ends.
 *
 * Control thread.
 */
#include <stdint.h>

#include "port/port.h"

struct xdp {
	int map_fd; /* XSKMAP, by queue */
	int prog_fd;
	int link_fd;
};

/* Attaches to the interface: in its driver where that can, else in the generic code. -errno with the reason in `port`, also
 * when the interface has an XDP program already; nothing is left open then. */
int xdp_attach(
	struct port *port, struct xdp *xdp, int ifindex, const char *ifname, uint32_t n_queues);
/* When it returns no frame is on its way to the map any more. */
void xdp_detach(struct xdp *xdp);

#endif
