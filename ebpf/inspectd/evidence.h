/* SPDX-License-Identifier: Apache-2.0 */
/* What an alert is founded on: the newest packets of its source, from the ring of records. */
#ifndef INSPECTD_EVIDENCE_H
#define INSPECTD_EVIDENCE_H

#include <jansson.h>

#include "rules.h"

#define EVIDENCE_PACKETS 32
#define EVIDENCE_TARGETS 16

/* IPv4 or IPv6 text. Returns `text`. */
#define EVIDENCE_ADDRESS 46
char *evidence_address(const union sight_addr *address, char text[EVIDENCE_ADDRESS]);

/* The params of inspect.alert, all but `inspection` and whose port it was; NULL when out of memory. */
json_t *evidence_alert(
	const struct programs *p, const struct rules *rules, const struct sight_event *event);

#endif
