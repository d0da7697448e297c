/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_EXPLAIN_STEPS_H
#define TESTS_NODE_EXPLAIN_STEPS_H
/* Are the steps of an explanation right? Each names an object that there is and that it can be; what decided is the last. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The packet that was explained. */
struct asked {
	const char *port; /* GRAPH_UNDERLAY: from `other`; EXT: from the internet */
	unsigned int vni; /* of its VPC; 0: outside */
	const char *src, *dst;
	uint8_t protocol, icmp_type;
	uint16_t sport, dport;
};

/* What steps say about the packet's way: as it is translated, whom it is for. */
struct told {
	char src[64], dst[64];
	uint16_t sport, dport;
	bool example;      /* the source's address and port are drawn only for the packet itself */
	bool by_chance;    /* whom it is for depends on that example */
	char receiver[64]; /* the port that the road has found it to be for */
	char service[64];  /* the address that it was sent to, once a service has sent it on */
};

/* NULL, or what is wrong. */
const char *explain_check_steps(const struct asked *a, const json_t *said, struct told *told);

#endif
