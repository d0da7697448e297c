/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NAT_NAT_BINDING_H
#define NAT_NAT_BINDING_H
/* Between nat_host.c, nat_mapping.c, nat_dependent.c, nat_wrap.c and nat_translate.c: how a flow comes to an outside port. Ids are
 * those of records (nat_table.h); what is returned has a reference of the caller's. Inside an RCU section. */
#include "nat/nat_flow.h"

/* An inside address of the flow's family outside. Inline, like the other key: a copy of what has just been written field by field
 * would wait for all stores before it. */
static inline struct nat_record nat_host_key(const struct flow *f, const struct nat_gateway *gw)
{
	return (struct nat_record){
		.kind = NAT_HOST, .gateway = gw->id, .space = f->out_v6, .addr = f->src};
}
/* Its record, with an outside address of the rule's; 0: no record left. */
uint32_t nat_host_of(const struct flow *f, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source, enum nat_space space);
/* An outside address for a new one. */
uint32_t nat_choose_address(const struct nat_rules *rules, const struct nat_source *source, bool v6,
	enum nat_space space);
/* Sessions of the flow's vNIC. */
uint32_t nat_owner_sessions(const struct flow *f, const struct nat_gateway *gw);
/* The record of that key; *made if there was none. 0: none left. */
uint32_t nat_record_found_or_made(const struct nat_record *key, bool *made);

static inline struct nat_record nat_mapping_key(
	const struct flow *f, const struct nat_gateway *gw, enum nat_space space)
{
	return (struct nat_record){.kind = NAT_MAPPING,
		.gateway = gw->id,
		.space = (uint8_t)(space | (f->v6 && !f->out_v6 ? NAT_TO_V4 : 0)),
		.port = f->sport,
		.addr = f->src};
}
/* May flows of the rule have that MAPPING or FLOW, or part of a HOST? */
bool nat_binding_is_legal(const struct nat_record *r, uint32_t part, const struct nat_gateway *gw,
	const struct nat_rules *rules, const struct nat_source *source);
/* A record for a port of `host`, whose reference it takes over; of no port yet. 0: none left, and nothing is taken over. */
uint32_t nat_binding_new(enum nat_kind kind, const struct flow *f, const struct nat_gateway *gw,
	enum nat_space space, uint32_t host, struct nat_address *a);
/* What the host has leased of that address; NULL: there are no blocks. */
struct nat_lease *nat_lease_of(const struct nat_address *a, uint32_t host, enum nat_space space);
/* A port was granted: with a block, perhaps, which has a reference to the host. */
void nat_binding_leased(const struct nat_address *a, enum nat_space space, uint32_t host,
	const struct nat_grant *grant);

/* A FLOW of its own for the part that the flow holds. False: no record is left. */
bool nat_flow_of_part(struct flow *f);

/* A MAPPING, or a FLOW or *part of a HOST (else 0), for the flow; 0: refused, for *why. */
uint32_t nat_map_independent(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source, enum nat_space space, enum nat_refusal *why);
uint32_t nat_map_dependent(struct flow *f, struct nat_gateway *gw, const struct nat_rules *rules,
	const struct nat_source *source, enum nat_space space, enum nat_refusal *why,
	uint32_t *part);

#endif
