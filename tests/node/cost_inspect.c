/* SPDX-License-Identifier: Apache-2.0 */
/* What a packet of an established flow costs (test_inspect_cost.py):
 *
 *	cost_inspect none|elsewhere|here|each
 *
 * with nothing under inspection, with another VPC, with the flow's own as an inspection does by itself (8 first packets, one
 * in 64 after), or with each packet shown. */
#include "cost.h"

#include "inspect/inspect_internal.h"

#define INSPECTION(vni, first, sample)                                                             \
	"[\"inspection\", \"i\", " vni ", {\"port_scan\": {\"threshold\": 20, \"window_s\": 60}}," \
	" [], " first ", " sample ", 128, 1]"
#define OTHER_VPC                                                                                  \
	"[\"vpc\", 101, \"stage\", \"default\", 1450, \"02:00:00:00:00:64\", [\"10.0.0.0/16\"], "  \
	"[], 1]"

/* In place of the TAP. */
static bool take(const void *frame, size_t size)
{
	(void)frame;
	(void)size;
	return true;
}

int main(int argc, char **argv)
{
	static const struct cost_mode modes[] = {
		{"elsewhere", "[" OTHER_VPC ", " INSPECTION("101", "8", "64") "]"},
		{"here", "[" INSPECTION("100", "8", "64") "]"},
		{"each", "[" INSPECTION("100", "8", "1") "]"},
	};

	inspect_output = take;
	return cost_main(argc, argv, modes, sizeof(modes) / sizeof(modes[0]));
}
