/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EIP_EIP_RECORD_H
#define EIP_EIP_RECORD_H
/* Between the files of eip/: what is known of an address, and the tables it is found in.
 *
 * A record is immutable once published. What must live on when the item is changed (rates, counts) is in a struct eip_life that
 * successive records of a name share.
 */
#include <stddef.h>

#include "base/prefix_map.h"
#include "core/location.h"
#include "eip/eip.h"
#include "qos/bucket.h"
#include "vpc/vpc.h"

struct eip_life {
	char name[PORT_NAME_MAX];
	uint64_t revision;
	epoch_slot_t epoch;      /* of its own, while it has no endpoint of an outside network */
	bool here;               /* this node is its gateway: what follows is in use */
	bool told_missing;       /* the controller knows that its network is not there */
	struct qos_port meter;   /* counts what it lets pass */
	uint16_t account;        /* of flows without a rate */
	struct bucket new_flows; /* from the outside. Any worker */
	uint64_t usage;          /* instance, core/usage.h */
};

struct eip_record {
	struct eip eip;
	struct flow_service service; /* of the address's endpoint */
	struct eip_record *_Atomic next_named, *_Atomic next_private;
	struct eip_life *life;
	char network[PORT_NAME_MAX]; /* "": the first of the family */
	char port[PORT_NAME_MAX];    /* northbound name, for explain */
	const struct eip_use *use;   /* NULL: a port, or nobody */
	bool bound;                  /* to the port's private address */
	bool blackhole;
	loc_t gateway; /* the tunnel to it; LOC_NONE: this node */
	uint32_t vpc_index;
	struct ip_addr private_address;
	struct prefix_map *denied; /* NULL: none */
	struct qos_rate rate;      /* each way */
	uint32_t new_per_s;        /* 0: no limit */
	uint64_t revision;
};

#define EIP_KIND "eip"

static inline struct eip_record *eip_record_of(const struct eip *eip)
{
	return (struct eip_record *)((char *)(uintptr_t)eip - offsetof(struct eip_record, eip));
}

static inline struct eip_record *eip_of_service(const struct flow_service *service)
{
	return (struct eip_record *)((char *)(uintptr_t)service -
				     offsetof(struct eip_record, service));
}

/* NULL: neither "nat" nor "lb", or the capability is not in this build. */
const struct eip_use *eip_use_find(const char *use);
/* struct flow_service: from the outside, or from a machine here (hairpin). */
bool eip_arrive(struct flow *f, const struct endpoint *ep);

/*
 * Tables. Worker-safe getters; changes by the control thread.
 */
struct eip_record *eip_record_by_name(const char *name);
/* What the address of a machine is outside. */
const struct eip_record *eip_record_by_private(uint32_t vpc_index, const struct ip_addr *addr);
/* In no order, from NULL. Control thread. */
struct eip_record *eip_record_next(const struct eip_record *previous);
/* Takes `r` in place of the one of its name, and `ep` (its address, or NULL when the gateway is another node), and tells the flows. */
void eip_record_put(struct eip_record *r, struct endpoint *ep);
/* With its life. */
void eip_record_remove(struct eip_record *r);
void eip_record_free(struct eip_record *r); /* one that was not put */

/* NULL with errno ENOMEM or ENOSPC. `here`: with rates and counts. */
struct eip_life *eip_life_new(const char *name, bool here);
/* What the record says of rates and revision holds from now on. */
void eip_life_set(struct eip_life *life, const struct eip_record *r);
/* Its flows are told; it is freed when no worker can name it, and its figures are final then. */
void eip_life_retire(struct eip_life *life);
void eip_life_free(struct eip_life *life); /* one that no record had */

#endif
