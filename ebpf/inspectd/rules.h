/* SPDX-License-Identifier: Apache-2.0 */
/* What to look for: the answer to inspect.get (docs/inspection.md) becomes entries of maps, and names for alerts. */
#ifndef INSPECTD_RULES_H
#define INSPECTD_RULES_H

#include <jansson.h>
#include <stdbool.h>

#include "programs.h"

struct rules {
	json_t *vpcs;  /* by VNI as text: {detector: name of the inspection} */
	json_t *lists; /* names of the indicator lists, by index */
	int64_t revision;
};

/*
 * Obeys an answer. 0, or -EINVAL with what is wrong in `why`; what can be obeyed is, all the same, when a table is full
 * (-E2BIG).
 */
#define RULES_WHY 256
int rules_obey(
	struct rules *r, const struct programs *p, const json_t *answer, char why[RULES_WHY]);
void rules_free(struct rules *r);

/* The inspection that wanted a detector in a VPC; NULL: none (any more). */
const char *rules_inspection(const struct rules *r, uint32_t vni, enum sight_detector detector);
/* The rule itself, as programs see it. False: none. */
bool rules_get(const struct programs *p, uint32_t vni, enum sight_detector detector,
	struct sight_rule *rule);
const char *rules_list(const struct rules *r, uint32_t list);
/* "port_scan" … */
const char *rules_detector(enum sight_detector detector);

#endif
