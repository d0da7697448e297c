/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs on interfaces. Attachments outlive this process, so that tables go on without it; a later one takes them
 * over by putting its own programs in their place at once. An interface that comes back (a new index) is attached again.
 */
#ifndef INSPECTD_ATTACH_H
#define INSPECTD_ATTACH_H

#include <net/if.h>
#include <stdbool.h>

#include "programs.h"

struct attachment {
	char ifname[IF_NAMESIZE]; /* "": none */
	bool feed;                /* else a port's own interface */
	bool want_xdp;
	int ifindex;      /* 0: not attached */
	const char *mode; /* "xdp", "tc" */
	int said;         /* errno that was logged last */
	uint32_t vni;     /* of a port */
	const char *port; /* its name; the configuration's */
};

/* Attaches what is there and not attached yet, also to what came back. Silent about what was said before. */
void attach_check(struct attachment *a, const struct programs *p);
/* Notices only that the interface has gone, or is another. */
void attach_look(struct attachment *a);
/* The port of a number of the programs' (SIGHT_PORT_DIRECT); NULL: none. */
const char *attach_port_name(const struct attachment *ports, size_t n, uint32_t number);
/* Takes the programs away; the interface may be gone. */
void attach_remove(struct attachment *a, const struct programs *p);

#endif
