/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIRROR_MIRROR_IN_H
#define MIRROR_MIRROR_IN_H
/* The far end of mirrors whose target is a port here while their sources are on other nodes.
 *
 * Such copies come as VXLAN with a VNI of the mirror's own, which is no VPC's: the controller gives it to both ends. They go to the port as
 * they are, past everything that forwards: no session, no learning, no policy. Only VTEPs that have sources of the mirror may send them,
 * and only to the port that it names. They are marked as copies, so nobody observes them again: no mirror of a mirror.
 *
 * Threads: changed by the control thread (southbound items `mirror_in`), read by workers under RCU.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mirror/mirror.h"

/* Written by one worker. */
struct mirror_in_tally {
	uint64_t lost; /* copies that the port did not take */
} __rte_cache_aligned;

struct mirror_in {
	struct mirror_in *_Atomic same; /* the next with its hash. RCU */
	uint32_t vni;
	_Atomic uint32_t port; /* index; UINT32_MAX: it is not here */
	/* Indexes of the VTEPs that may send, scattered by their hash; UINT32_MAX: free. More than half are. */
	_Atomic uint32_t *senders;
	uint32_t senders_mask;
	struct mirror_in_tally *tallies; /* [worker_count] */
	/* Control thread. */
	char name[PORT_NAME_MAX];  /* the mirror's */
	char where[PORT_NAME_MAX]; /* the port's */
	char (*vteps)[PORT_NAME_MAX];
	uint32_t *resolved; /* [n_vteps]: as they are in `senders` */
	uint32_t n_vteps;
	uint64_t lost_before; /* what its forerunners of this name have lost */
	struct mirror_in *next;
};

/* Worker. NULL: no mirror's. */
const struct mirror_in *mirror_in_by_vni(uint32_t vni);
bool mirror_in_may_send(const struct mirror_in *in, uint32_t vtep_index);

/* Control thread. NULL: there is none of that name. */
struct mirror_in *mirror_in_by_name(const char *name);
struct mirror_in *mirror_in_next(struct mirror_in *previous);
uint64_t mirror_in_lost(const struct mirror_in *in);

/* Why the port takes no copies now; "" when it does. Control thread. */
void mirror_port_trouble(const char *port, char reason[MIRROR_REASON_MAX]);

#endif
